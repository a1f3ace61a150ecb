"""Counts of word pairs that occur near each other, in bounded memory.

Axes: V words, n ids, m pairs of a table, K runs.

A word outside the vocabulary is removed before windows are taken, as word2vec and GloVe
do: the words on its two sides become neighbours. If the removed word kept its position,
the distance of two words would depend on words that the model never sees.

Weights are counted in integer units (`units_of`), so sums do not depend on their order:
shards counted on any machines and merged give bit-identical tables.

A shard is counted row by row. A counting sort gives the positions of word i. The
neighbours at each position are added into an array of V units, which a bitmap then
reads out in order, so no list of single pairs is ever made or sorted. The rows of all
shards are merged in the same way, in ranges that fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ftml.compiled import compiled
from ftml.data.cooccurrence import Cooccurrence
from ftml.data.tokens import Sentences
from ftml.data.weights import Units, units_of

ONE, SIX, TWELVE, LAST = np.uint64(1), np.uint64(6), np.uint64(12), np.uint64(63)
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
PLACE_OF = np.zeros(64, np.int64)
PLACE_OF[[(int(DE_BRUIJN) << b) % 2**64 >> 58 for b in range(64)]] = np.arange(64)


@dataclass(frozen=True)
class Run:
    """Counted rows `first`, `first` + 1, ...: row r is `start[r] : start[r + 1]`.

    start: (rows + 1,) int64. col: (m,) int32, increasing within a row, at least the
    row's own number. units: (m,) int64.
    """

    first: int
    start: np.ndarray
    col: np.ndarray
    units: np.ndarray

    def rows(self) -> np.ndarray:
        """Return the row of each pair, (m,) int32."""
        numbers = np.arange(self.first, self.first + len(self.start) - 1)
        return np.repeat(numbers, np.diff(self.start)).astype(np.int32)


def count_rows(
    sentences: Sentences, *, V: int, units: Units, max_pairs: int
) -> Iterator[Run]:
    """Yield the counted pairs of words of some sentences, in rows 0, ..., V - 1.

    The units of i and j (i <= j) are the sum of `of_distance[t - s]` over positions s <
    t of one sentence that hold i and j in either order, each pair of positions once.
    max_pairs: pairs that a yielded run may hold; a single row may need more. Raises
    ValueError for ids outside of 0, ..., V - 1.
    """
    ids = sentences.ids
    if len(ids) and (ids.min() < 0 or ids.max() >= V):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(f"ids must index the {V} words from 0, got {wrong}")
    text = _laid_out(ids, sentences.offsets)
    place, start = np.empty(len(ids), np.int32), np.zeros(V + 1, np.int64)
    _sort_places(text, place, start)
    row_of = _Row.of(V)
    row = 0
    while row < V:
        held = np.minimum(np.diff(start[row:]) * 2 * len(units.of_distance), V)
        rows = _fitting(held, max_pairs)
        size = int(held[:rows].sum())
        col, counted = np.empty(size, np.int32), np.empty(size, np.int64)
        ends = np.zeros(rows + 1, np.int64)
        _count(text, place, start, row, units.of_distance, *row_of, col, counted, ends)
        m = int(ends[-1])
        yield Run(row, ends, col[:m], counted[:m])
        row += rows


class _Row(NamedTuple):
    """The row being counted: its units, and which of them are not zero."""

    total: np.ndarray
    "(V,) int64"
    bits: np.ndarray
    "uint64, one bit per word"
    groups: np.ndarray
    "uint64, one bit for each of `bits` that is not zero"

    @classmethod
    def of(cls, V: int) -> _Row:
        bits = np.zeros(V // 64 + 1, np.uint64)
        return cls(np.zeros(V, np.int64), bits, np.zeros(V // 4096 + 1, np.uint64))


def _fitting(sizes: np.ndarray, max_pairs: int) -> int:
    """Return how many of the first sizes sum to at most `max_pairs`; at least one."""
    return max(1, int(np.searchsorted(np.cumsum(sizes), max_pairs, side="right")))


def merge_rows(runs: Sequence[Run], *, V: int) -> Run:
    """Return the sum of runs of the same rows."""
    rows = len(runs[0].start) - 1
    size = sum(len(run.col) for run in runs)
    col, summed = np.empty(size, np.int32), np.empty(size, np.int64)
    row_of = _Row.of(V)
    ends = np.zeros(rows + 1, np.int64)
    _merge(
        np.concatenate([run.col for run in runs]),
        np.concatenate([run.units for run in runs]),
        np.stack([run.start for run in runs]),
        *row_of,
        col,
        summed,
        ends,
    )
    m = int(ends[-1])
    return Run(runs[0].first, ends, col[:m], summed[:m])


def join_rows(runs: Sequence[Run]) -> Run:
    """Return consecutive runs of rows as one run."""
    ends = np.cumsum([0, *(len(run.col) for run in runs)])
    starts = [run.start[1:] + end for run, end in zip(runs, ends[:-1], strict=True)]
    return Run(
        runs[0].first,
        np.concatenate([[0], *starts]),
        np.concatenate([run.col for run in runs]),
        np.concatenate([run.units for run in runs]),
    )


def count_pairs(
    sentences: Sentences, words: Sequence[str], *, window: int, weighting: str
) -> Cooccurrence:
    """Return the counts of words and of word pairs within a window, for sentences that
    fit into memory.
    """
    V, units = len(words), units_of(window=window, weighting=weighting)
    max_pairs = 2 * window * max(1, len(sentences.ids))
    none = Run(0, np.zeros(V + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    run = join_rows(
        [*count_rows(sentences, V=V, units=units, max_pairs=max_pairs)] or [none]
    )
    return Cooccurrence(
        words=tuple(words),
        counts=np.bincount(sentences.ids, minlength=V).astype(np.int64),
        row=run.rows(),
        col=run.col,
        weight=run.units / units.scale,
    )


def _laid_out(ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the ids with -1 before, between and after sentences."""
    text = np.full(len(ids) + len(offsets), -1, np.int32)
    _lay_out(ids, offsets, text)
    return text


@compiled
def _lay_out(ids, offsets, text):
    for s in range(len(offsets) - 1):
        for at in range(offsets[s], offsets[s + 1]):
            text[at + s + 1] = ids[at]


@compiled
def _sort_places(text, place, start):
    """Write the positions of word i in the text, increasing, to place[start[i]:start[i
    + 1]].

    start must be zero.
    """
    V = len(start) - 1
    for word in text:
        if word >= 0:
            start[word + 1] += 1
    for i in range(V):
        start[i + 1] += start[i]
    for at in range(len(text)):
        if text[at] >= 0:
            place[start[text[at]]] = at
            start[text[at]] += 1
    for i in range(V, 0, -1):
        start[i] = start[i - 1]
    start[0] = 0


@compiled
def _add(j, more, total, bits, groups):
    """Add to total[j], and mark j in the bitmap and its group in that of groups."""
    total[j] += more
    bits[j >> SIX] |= ONE << (j & LAST)
    groups[j >> TWELVE] |= ONE << ((j >> SIX) & LAST)


@compiled
def _lowest(bits):
    """Return the number of the lowest bit that is set (de Bruijn multiplication)."""
    return PLACE_OF[((bits & (~bits + ONE)) * DE_BRUIJN) >> np.uint64(58)]


@compiled
def _read_out(total, bits, groups, col, units, m):
    """Write the marked words, increasing, and their totals from position m on; return
    the end position. Totals and marks are then zero.
    """
    for group in range(len(groups)):
        words = groups[group]
        groups[group] = 0
        while words:
            word = 64 * group + _lowest(words)
            words &= words - ONE
            left = bits[word]
            bits[word] = 0
            while left:
                j = 64 * word + _lowest(left)
                left &= left - ONE
                col[m], units[m] = j, total[j]
                total[j] = 0
                m += 1
    return m


@compiled
def _count(
    text, place, start, first, of_distance, total, bits, groups, col, units, ends
):
    """Count as many rows first, first + 1, ... as `ends` has, into col and units.

    Positions are unsigned so that numba does not generate code for negative indices.
    """
    window, m = len(of_distance), 0
    for row in range(len(ends) - 1):
        i = first + row
        for at in place[start[i] : start[i + 1]]:
            for d in range(1, window + 1):
                j = text[np.uint64(at + d)]
                if j < 0:
                    break
                if j >= i:  # a pair of one word is counted once, from its left position
                    _add(np.uint64(j), of_distance[d - 1], total, bits, groups)
            for d in range(1, window + 1):
                j = text[np.uint64(at - d)]
                if j < 0:
                    break
                if j > i:
                    _add(np.uint64(j), of_distance[d - 1], total, bits, groups)
        m = _read_out(total, bits, groups, col, units, m)
        ends[row + 1] = m


@compiled
def _merge(cols, counted, starts, total, bits, groups, col, units, ends):
    """Sum each row over the runs, which are consecutive in cols, counted."""
    m = 0
    for row in range(len(ends) - 1):
        before = 0
        for k in range(len(starts)):
            for at in range(before + starts[k, row], before + starts[k, row + 1]):
                _add(np.uint64(cols[at]), counted[at], total, bits, groups)
            before += starts[k, -1]
        m = _read_out(total, bits, groups, col, units, m)
        ends[row + 1] = m
