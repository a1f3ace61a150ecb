"""Windows of a text: each symbol, and each sequence's end, with those before it.

Axes: n sequences, N symbols, V symbols of the vocabulary.
"""

from __future__ import annotations

import numpy as np

from ftml.data.ragged import Ragged, offsets_of


def windows(X: Ragged, order: int) -> np.ndarray:
    """Return the N + n windows of `order` symbols, the predicted one last.

    The number V means the boundary: before the first symbol, as often as it takes,
    and after the last one, where it is predicted.
    """
    V = len(X.vocabulary)
    starts = offsets_of(X.lengths + order)[:-1]  # order - 1 boundaries before, 1 behind
    stream = np.full(len(X.values) + order * len(X), V)
    n = np.arange(len(X.values))
    shift = np.repeat(starts + order - 1 - X.offsets[:-1], X.lengths)
    stream[n + shift] = X.values
    ends = offsets_of(X.lengths + 1)
    first = np.repeat(starts - ends[:-1], X.lengths + 1) + np.arange(ends[-1])
    return np.lib.stride_tricks.sliding_window_view(stream, order)[first]


def check_symbols(X: Ragged) -> None:
    """Raise ValueError for sequences without a vocabulary."""
    if not X.vocabulary:
        raise ValueError("a language model needs sequences of symbols")
