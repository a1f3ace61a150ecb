"""The weight of a word pair by its distance, and the thinning of frequent words.

Axes: V words of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ftml.data.tokens import Sentences

WEIGHTINGS = ("harmonic", "dynamic", "flat")
FINEST = 1 << 31
"Largest number of units in a weight of one."


class Units(NamedTuple):
    """The weight of each distance as a whole number: `of_distance / scale`."""

    of_distance: np.ndarray
    "(window,) int64 for d = 1, ..., window"
    scale: int


def units_of(*, window: int, weighting: str) -> Units:
    """Return the weight of each distance d = 1, ..., window.

    harmonic: 1/d (GloVe). dynamic: (window - d + 1)/window, the probability that
    word2vec's window, uniform in 1, ..., window, reaches d. flat: 1. The weights are
    exact except for harmonic windows above 22, whose 1/d is rounded to 2^-31.
    """
    if window < 1:
        raise ValueError(f"window must be 1 or more, got {window}")
    d = np.arange(1, window + 1)
    if weighting == "harmonic":
        exact = math.lcm(*range(1, window + 1))
        scale = exact if exact <= FINEST else FINEST
        return Units(np.maximum(np.rint(scale / d), 1).astype(np.int64), scale)
    if weighting == "dynamic":
        return Units(window - d + 1, window)
    if weighting == "flat":
        return Units(np.ones(window, np.int64), 1)
    raise ValueError(f"weighting must be one of {WEIGHTINGS}, got {weighting!r}")


def keep_probability(counts: np.ndarray, *, threshold: float) -> np.ndarray:
    """Return the probability (V,) that an occurrence is kept when frequent words are
    thinned.

        min(1, sqrt(t/f) + t/f),  f the word's fraction of all words, t the threshold

    as in word2vec. All ones for threshold 0. counts: (V,), their sum above 0.
    """
    if not threshold:
        return np.ones(len(counts))
    ratio = threshold / np.maximum(counts / counts.sum(), np.finfo(float).tiny)
    kept: np.ndarray = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return kept


def thin(sentences: Sentences, keep: np.ndarray, *, stream: Sequence[int]) -> Sentences:
    """Return the sentences with each id w kept with probability `keep[w]`.

    stream: the seed of the random numbers. The kept words of a sentence become
    neighbours.
    """
    uniform = np.random.default_rng(stream).random(len(sentences.ids), np.float32)
    kept = uniform < keep[sentences.ids]
    before = np.concatenate([[0], np.cumsum(kept)])
    return Sentences(sentences.ids[kept], before[sentences.offsets])
