"""A corpus of six words whose counts are known, for claims about embeddings."""

from __future__ import annotations

import numpy as np

from ftml.data import Cooccurrence

WORDS = tuple("abcdef")


def random_counts(seed: int, *, scale: float = 1.0) -> Cooccurrence:
    """Return counts of all pairs of the words, from 2 to 30 times `scale`."""
    V = len(WORDS)
    rng = np.random.default_rng(seed)
    row, col = np.triu_indices(V)
    weight = scale * rng.integers(2, 31, size=len(row)).astype(float)
    C = np.zeros((V, V))
    C[row, col] = weight
    counts = np.rint((C + C.T).sum(axis=1)).astype(np.int64)
    return Cooccurrence(
        WORDS, counts, row.astype(np.int32), col.astype(np.int32), weight
    )


def dense(data: Cooccurrence) -> np.ndarray:
    """Return the symmetric matrix C of the notes, (V, V)."""
    C = np.zeros((len(data.words), len(data.words)))
    np.add.at(C, (data.row, data.col), data.weight)
    return C + C.T
