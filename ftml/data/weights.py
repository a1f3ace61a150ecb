"""How much a pair of words counts: by its distance, and by how frequent they are.

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
"Most units in a weight of one."


class Units(NamedTuple):
    """The weight of each distance as a whole number: `of_distance / scale`."""

    of_distance: np.ndarray
    "(window,) int64 for d = 1, ..., window"
    scale: int


def units_of(*, window: int, weighting: str) -> Units:
    """Return the weight of each distance d = 1, ..., window.

    harmonic: 1/d (GloVe). dynamic: (window - d + 1)/window, the chance that word2vec's
    window, drawn uniformly from 1, ..., window, reaches d. flat: 1. The weights are
    exact but for harmonic windows above 22, whose 1/d is rounded to 2^-31.
    """
    if window < 1:
        raise ValueError(f"window must be 1 or more, came {window}")
    d = np.arange(1, window + 1)
    if weighting == "harmonic":
        exact = math.lcm(*range(1, window + 1))
        scale = exact if exact <= FINEST else FINEST
        return Units(np.maximum(np.rint(scale / d), 1).astype(np.int64), scale)
    if weighting == "dynamic":
        return Units(window - d + 1, window)
    if weighting == "flat":
        return Units(np.ones(window, np.int64), 1)
    raise ValueError(f"weighting must be one of {WEIGHTINGS}, came {weighting!r}")


def keep_probability(counts: np.ndarray, *, threshold: float) -> np.ndarray:
    """Return the chance (V,) that an occurrence stays when frequent words are thinned.

        min(1, sqrt(t/f) + t/f),  f the word's share of all, t the threshold

    as word2vec has it. All ones for threshold 0. counts: (V,), their sum above 0.
    """
    if not threshold:
        return np.ones(len(counts))
    ratio = threshold / np.maximum(counts / counts.sum(), np.finfo(float).tiny)
    kept: np.ndarray = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return kept


def thin(sentences: Sentences, keep: np.ndarray, *, stream: Sequence[int]) -> Sentences:
    """Return the sentences with each id w kept with probability `keep[w]`.

    stream: what the draws are seeded by. The rest of a sentence moves together.
    """
    drawn = np.random.default_rng(stream).random(len(sentences.ids), np.float32)
    stays = drawn < keep[sentences.ids]
    kept = np.concatenate([[0], np.cumsum(stays)])
    return Sentences(sentences.ids[stays], kept[sentences.offsets])
