"""The symmetric matrix of a corpus by rows, and computations by row.

Axes: V words, m entries.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ftml.data import Cooccurrence
from ftml.families.embedding import _loops


@dataclass(frozen=True)
class Rows:
    """Row i is `start[i] : start[i + 1]` of col and value, increasing in col.

    start: (V + 1,) int64. col: (m,) int32. value: (m,).
    """

    start: np.ndarray
    col: np.ndarray
    value: np.ndarray

    def row(self) -> np.ndarray:
        """Return the row of each entry, (m,) int32."""
        V = len(self.start) - 1
        return np.repeat(np.arange(V, dtype=np.int32), np.diff(self.start))

    def sums(self) -> np.ndarray:
        """Return the sum of each row, (V,); the order of the sums is fixed."""
        return np.bincount(self.row(), self.value, minlength=len(self.start) - 1)

    def where(self, kept: np.ndarray) -> Rows:
        """Return the entries that are kept (m,)."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Rows(before[self.start], self.col[kept], self.value[kept])

    def with_value(self, value: np.ndarray) -> Rows:
        return replace(self, value=value)


def symmetric(data: Cooccurrence) -> Rows:
    """Return C of a table of pairs: C_ij = C_ji = weight, C_ii = 2 weight.

    Raises ValueError for a table without pairs.
    """
    if not len(data):
        raise ValueError("the training data have no pair of words")
    V = len(data.words)
    m = 2 * len(data) - int(np.sum(data.row == data.col))
    start, col, value = np.zeros(V + 1, np.int64), np.empty(m, np.int32), np.empty(m)
    _loops.symmetrise(data.row, data.col, data.weight, start, col, value)
    return Rows(start, col, value)


def alias_tables(rows: Rows) -> np.ndarray:
    """Return the alias tables that sample an entry of each row by its value, (m, 3)
    uint32.
    """
    table = np.empty((len(rows.col), 3), np.uint32)
    _loops.make_alias(rows.start, rows.col, rows.value, table)
    return table


def alias_table(weight: np.ndarray) -> np.ndarray:
    """Return the alias table that samples one of V words by its weight, (V, 3)
    uint32.
    """
    V = len(weight)
    every = Rows(np.array([0, V]), np.arange(V, dtype=np.int32), weight.astype(float))
    return alias_tables(every)


def by_rows(
    function: Callable[[int, int], object], rows: Rows, *, threads: int
) -> None:
    """Call function(first, end) on ranges of rows of about as many entries each.

    The result for a row depends on that row only, so the number of threads changes
    nothing.
    """
    V, m = len(rows.start) - 1, len(rows.col)
    cuts = np.searchsorted(rows.start, np.linspace(0, m, threads + 1)[1:-1])
    ends = [0, *cuts.tolist(), V]
    if threads == 1:
        function(0, V)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, ends[:-1], ends[1:]))


def padded(X: np.ndarray) -> np.ndarray:
    """Return a copy with columns of zeros up to a multiple of 16: a cache line."""
    columns = -(-X.shape[1] // 16) * 16
    wide = np.zeros((len(X), columns), np.float32)
    wide[:, : X.shape[1]] = X
    return wide
