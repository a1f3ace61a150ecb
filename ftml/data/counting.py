"""From text to counts: words, a vocabulary, ids, and the pairs of words in a window.

Axes: V words of the vocabulary, S sentences, n ids of all sentences one after the
other.

A word outside the vocabulary is removed before windows are taken, as word2vec does: its
neighbours move together. (GloVe does the same; the other choice, to keep its place,
would make the distance of two words depend on words that the model never sees.)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ftml.data.cooccurrence import Cooccurrence

TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?")
"A word of lower-case letters, with one apostrophe inside at most: love, love's, o'er."


@dataclass(frozen=True)
class Sentences:
    """Encoded sentences: sentence s is `ids[offsets[s] : offsets[s + 1]]`.

    ids: (n,) int32 word ids. offsets: (S + 1,) int64, the first 0, the last n, rising.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        ends = self.offsets[[0, -1]] if len(self.offsets) else np.array([-1, -1])
        if (
            ends[0] != 0
            or ends[1] != len(self.ids)
            or (np.diff(self.offsets) < 0).any()
        ):
            raise ValueError(
                f"offsets must rise from 0 to the number of ids, {len(self.ids)}"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1


def tokenize(text: str) -> list[str]:
    """Return the words of a text in lower case, each `[a-z]+('[a-z]+)?`."""
    return TOKEN.findall(text.lower())


def vocabulary(
    sentences: Iterable[Sequence[str]], *, min_count: int
) -> tuple[str, ...]:
    """Return the words that occur `min_count` times or more, most frequent first."""
    counts = Counter(word for sentence in sentences for word in sentence)
    kept = [word for word, count in counts.items() if count >= min_count]
    return tuple(sorted(kept, key=lambda word: (-counts[word], word)))


def encode(sentences: Sequence[Sequence[str]], words: Sequence[str]) -> Sentences:
    """Return the ids of the words of each sentence; words outside `words` are removed.

    The number of sentences stays: one that loses all its words is empty.
    """
    number = {word: i for i, word in enumerate(words)}
    encoded = [[number[w] for w in sentence if w in number] for sentence in sentences]
    ids = np.fromiter((i for sentence in encoded for i in sentence), np.int32)
    lengths = np.fromiter((len(sentence) for sentence in encoded), np.int64)
    return Sentences(ids, np.concatenate([[0], np.cumsum(lengths)]))


def distance_weights(*, window: int, weighting: str) -> np.ndarray:
    """Return the weight of each distance d = 1, ..., window, (window,) float64.

    harmonic: 1/d (GloVe). dynamic: (window - d + 1)/window, the chance that word2vec's
    window, drawn uniformly from 1, ..., window, reaches d. flat: 1.
    """
    if window < 1:
        raise ValueError(f"window must be 1 or more, came {window}")
    d = np.arange(1, window + 1)
    if weighting == "harmonic":
        return 1.0 / d
    if weighting == "dynamic":
        return (window - d + 1) / window
    if weighting == "flat":
        return np.ones(window)
    raise ValueError(f"weighting must be harmonic, dynamic or flat, came {weighting!r}")


def count_pairs(
    sentences: Sentences, words: Sequence[str], *, window: int, weighting: str
) -> Cooccurrence:
    """Return how often each word occurs and each pair of words stands within a window.

    weight_ij = sum of w(t - s) over positions s < t <= s + window of one sentence that
    hold i and j in either order, each pair of positions once. `Cooccurrence` says how
    the symmetric matrix follows. Distance by distance the pairs are counted as
    integers, so that the result does not depend on the order of the sentences, to the
    bit.
    """
    ids, V = sentences.ids.astype(np.int64), len(words)
    if len(ids) and (ids.min() < 0 or ids.max() >= V):
        raise ValueError(f"ids must index the {V} words")
    sentence = np.repeat(np.arange(len(sentences)), np.diff(sentences.offsets))  # (n,)
    keys, weights = [], []
    weight_of = distance_weights(window=window, weighting=weighting)
    for d, weight in enumerate(weight_of, start=1):
        inside = sentence[:-d] == sentence[d:]
        first, second = ids[:-d][inside], ids[d:][inside]
        key = np.minimum(first, second) * V + np.maximum(first, second)
        key, times = np.unique(key, return_counts=True)
        keys.append(key)
        weights.append(weight * times)
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(place, np.concatenate(weights), minlength=len(pairs))
    return Cooccurrence(
        words=tuple(words),
        counts=np.bincount(ids, minlength=V).astype(np.int64),
        row=(pairs // V).astype(np.int32),
        col=(pairs % V).astype(np.int32),
        weight=total,
    )
