"""Counting a corpus larger than memory: shards, sorted runs on disk, and their merge.

Two functions do the work, and neither depends on where it runs: `count_shard` counts
some row groups of `ids.parquet` into runs on disk, and `merge_range` sums a range of
rows over all runs. The caller of `count_split` passes the parallel map that executes
them: the built-in `map`, one over threads (`threads`), or one over Ray tasks. Weights
are integer units, so the tables are bit-identical.

Axes: V words, m pairs.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import encoding, parquet
from ftml.data.counting import Run, count_rows, merge_rows
from ftml.data.weights import Units, keep_probability, thin, units_of

ParallelMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""A parallel map with the signature of the built-in map: results are in the order of
the items.
"""

PAIRS = pa.schema([("row", pa.int32()), ("col", pa.int32()), ("weight", pa.float64())])
GROUP = 1 << 20
"""Pairs of a row group of a table, whatever the memory, so that the bytes depend on the
counts only.
"""

FAN_IN = 16
"Number of runs that are merged at once; more runs are first merged into fewer."

BYTES_A_WORD, BYTES_A_PAIR = 32, 128
"Memory for each word of a shard, and for each pair of runs that are merged."


@dataclass(frozen=True)
class Counting:
    """How pairs are counted.

    subsample: threshold t of `keep_probability`, 0 for none. passes: 0 multiplies
    weights by keep_i keep_j, which is the expectation over thinned texts in which each
    word keeps its distance; p > 0 thins the text p times and takes the mean, as
    word2vec does in p epochs: the words that are left become neighbours.
    """

    window: int
    weighting: str
    subsample: float = 0.0
    passes: int = 0
    seed: int = 0

    @property
    def units(self) -> Units:
        return units_of(window=self.window, weighting=self.weighting)


@dataclass(frozen=True)
class Shard:
    """Row groups of an ids file."""

    ids: Path
    groups: tuple[int, ...]


@dataclass(frozen=True)
class DiskRun:
    """A run of all rows in a folder, and the sum of its units."""

    folder: Path
    total: int

    def starts(self) -> np.ndarray:
        """Return the start of each row, (V + 1,) int64, memory-mapped."""
        return np.load(self.folder / "start.npy", mmap_mode="r")

    def rows(self, first: int, end: int) -> Run:
        start = np.array(self.starts()[first : end + 1])
        m = int(start[-1] - start[0])
        col, units = (
            np.fromfile(
                self.folder / name,
                dtype,
                count=m,
                offset=int(start[0]) * dtype.itemsize,
            )
            for name, dtype in (("col", np.dtype(np.int32)), ("units", np.dtype(int)))
        )
        return Run(first, start - start[0], col, units)


def count_split(
    ids: Path,
    split: str,
    folder: Path,
    *,
    counts: np.ndarray,
    how: Counting,
    memory: int,
    workers: int = 1,
    parallel_map: ParallelMap = map,
) -> tuple[float, Iterator[pa.Table]]:
    """Return the total weight of a split before words are subsampled in expectation,
    and its counted pairs, sorted by (row, col), GROUP at once.

    folder: an empty folder for the runs. counts: (V,), of the training split; they
    determine the subsampling. memory: bytes, for all `workers` of `parallel_map`
    together, plus one GROUP of the table. The smallest units of work are a row group of
    ids and a row.
    """
    share = memory // workers
    keep = keep_probability(counts, threshold=how.subsample)
    shards = plan_shards(ids, split, words=max(1, share // 2 // BYTES_A_WORD))
    count = partial(
        count_shard,
        folder=folder,
        keep=keep,
        how=how,
        max_pairs=share // 2 // BYTES_A_PAIR,
    )
    runs = list(itertools.chain(*parallel_map(count, shards)))
    total = sum(run.total for run in runs)
    pairs = max(1, share // BYTES_A_PAIR)
    while len(runs) > FAN_IN:
        some = [runs[n : n + FAN_IN] for n in range(0, len(runs), FAN_IN)]
        runs = list(parallel_map(partial(merge_runs, V=len(counts), pairs=pairs), some))
    ranges = plan_ranges(runs, V=len(counts), pairs=pairs)
    merged = parallel_map(partial(merge_range, runs=runs, V=len(counts)), ranges)
    scale = float(how.units.scale * max(1, how.passes))
    factor = keep if how.passes == 0 else np.ones(len(keep))
    tables = (_weighted(run, scale=scale, factor=factor) for run in merged)
    return total / scale, _grouped(tables)


def plan_shards(ids: Path, split: str, *, words: int) -> list[Shard]:
    """Return the row groups of a split in shards of at most `words` words, unless a
    single row group has more.
    """
    shards: list[Shard] = []
    size = 0
    for group in encoding.groups(ids):
        if group.split != split:
            continue
        if shards and size + group.size <= words:
            shards[-1] = Shard(ids, (*shards[-1].groups, group.number))
            size += group.size
        else:
            shards.append(Shard(ids, (group.number,)))
            size = group.size
    return shards


def count_shard(
    shard: Shard, *, folder: Path, keep: np.ndarray, how: Counting, max_pairs: int
) -> list[DiskRun]:
    """Count a shard and return its runs, one per pass, written into `folder`.

    keep: (V,), the probability that a word is kept. max_pairs: pairs collected before
    they are written. A shard is always written to the same path, so a task may safely
    run twice.
    """
    read = {number: encoding.read_group(shard.ids, number) for number in shard.groups}
    runs = []
    for number in range(max(1, how.passes)):
        parts = read
        if how.passes:
            parts = {
                group: thin(part, keep, stream=(how.seed, number, group))
                for group, part in read.items()
            }
        target = folder / f"{shard.groups[0]:06d}-{number:03d}"
        sentences = encoding.chain(list(parts.values()))
        counted = count_rows(
            sentences, V=len(keep), units=how.units, max_pairs=max_pairs
        )
        runs.append(_write_run(target, counted, V=len(keep)))
    return runs


def _write_run(target: Path, parts: Iterable[Run], *, V: int) -> DiskRun:
    target.mkdir(exist_ok=True)
    start, total = np.zeros(V + 1, np.int64), 0
    with open(target / "col", "wb") as col, open(target / "units", "wb") as units:
        for part in parts:
            end = part.first + len(part.start)
            start[part.first + 1 : end] = start[part.first] + part.start[1:]
            col.write(part.col.data)
            units.write(part.units.data)
            total += int(part.units.sum())
    np.save(target / "start.npy", start)
    return DiskRun(target, total)


def plan_ranges(
    runs: Sequence[DiskRun], *, V: int, pairs: int
) -> list[tuple[int, int]]:
    """Return ranges of rows (first, end), each with at most `pairs` pairs in all runs
    together, unless a single row has more.
    """
    size = np.zeros(V, np.int64)
    for run in runs:
        size += np.diff(run.starts())
    ends, ranges, first = np.concatenate([[0], np.cumsum(size)]), [], 0
    while runs and first < V:
        end = int(np.searchsorted(ends, ends[first] + pairs, side="right")) - 1
        end = max(end, first + 1)
        ranges.append((first, end))
        first = end
    return ranges


def merge_runs(runs: Sequence[DiskRun], *, V: int, pairs: int) -> DiskRun:
    """Return the sum of some runs as one, written beside the first of them."""
    if len(runs) == 1:
        return runs[0]
    ranges = plan_ranges(runs, V=V, pairs=pairs)
    merged = (merge_range(rows, runs=runs, V=V) for rows in ranges)
    target = runs[0].folder.with_name(runs[0].folder.name + "m")
    return _write_run(target, merged, V=V)


def merge_range(rows: tuple[int, int], *, runs: Sequence[DiskRun], V: int) -> Run:
    """Return the sum of a range of rows (first, end) over all runs."""
    return merge_rows([run.rows(*rows) for run in runs], V=V)


def _weighted(run: Run, *, scale: float, factor: np.ndarray) -> pa.Table:
    row = run.rows()
    weight = run.units / scale * factor[row] * factor[run.col]
    return pa.Table.from_arrays([row, run.col, weight], schema=PAIRS)


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of the tables, GROUP at once except for the last."""
    rest = PAIRS.empty_table()
    for table in tables:
        rest = pa.concat_tables([rest, table])
        while len(rest) >= GROUP:
            yield rest.slice(0, GROUP)
            rest = rest.slice(GROUP)
    if len(rest):
        yield rest


def write_pairs(
    path: Path, tables: Iterable[pa.Table], about: Mapping[str, Any]
) -> int:
    """Write the pairs of a split and return their number."""
    m = 0
    options = {"use_dictionary": ["row"], "compression_level": 1}
    with parquet.writer(
        path, PAIRS, {"kind": "Cooccurrence", **about}, **options
    ) as write:
        for table in tables:
            write(table)
            m += len(table)
    return m


@contextmanager
def threads(n: int) -> Iterator[ParallelMap]:
    """Provide a parallel map over n threads; at most n results wait for the
    consumer.
    """
    with ThreadPoolExecutor(n) as pool:

        def parallel_map(
            function: Callable[[Any], Any], items: Iterable[Any]
        ) -> Iterator[Any]:
            waiting: deque = deque()
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        yield parallel_map
