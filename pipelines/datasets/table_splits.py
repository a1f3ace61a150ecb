"""Splits the rows of a table: at random, by a column that says the split, by groups, in
the order of time, or with a file of test rows (`split:` and `test:` of its section).

Begin with `split_rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ftml.data.columns import MICROSECONDS
from ftml.data.dates import parse_dates
from ftml.data.parquet import SPLITS
from ftml.data.splits import blocks_by_time
from pipelines.common.formatting import shorten
from pipelines.datasets.notes import note
from pipelines.datasets.separate_test import note_overlap
from pipelines.datasets.splits import (
    MOST_LISTED,
    check_fractions,
    draw_split,
    split_sizes,
)
from pipelines.params.arrays import TableSchema

ORDERS = 20
"Random orders of the groups that are tried, fewer if there are many groups."
MANY_GROUPS = 20_000
"Groups for which one random order is tried."


def split_rows(
    data: pd.DataFrame,
    section: TableSchema,
    *,
    strata: np.ndarray,
    names: Sequence[str],
    grouped: Mapping[str, np.ndarray],
    n_test: int = 0,
) -> np.ndarray:
    """Return the split (n,) of each row: "train", "valid" or "test".

    data: all rows, with the column that `section.split` names; the last n_test rows are
    those of `section.test`. strata: (n,) indices into `names`, the classes or zeros.
    grouped: their `grouping`.
    Raises ValueError for data that cannot be split as the section says, and if a class
    has no training row. Notes which classes are absent in another split.
    """
    n = len(data) - n_test
    way, column = _way(section)
    if way == "column":
        return _checked(_said_split(data[column], section), strata, names, section)
    fractions = {"valid": section.valid_fraction}
    if section.test is None:
        fractions["test"] = section.test_fraction
    check_fractions(fractions)
    if unseen := np.setdiff1d(strata[n:], strata[:n]).tolist():
        listed = shorten([names[stratum] for stratum in unseen], MOST_LISTED)
        raise ValueError(f"{section.test}: {listed} is not in {section.source}")
    try:
        if way == "time":
            split = time_split(grouped["time"][:n], fractions=fractions)
        elif way == "groups":
            split = group_split(
                grouped["groups"][:n],
                strata[:n],
                fractions=fractions,
                seed=section.seed,
            )
        else:
            split = draw_split(
                strata[:n], names, fractions=fractions, seed=section.seed
            )
    except ValueError as error:
        where = f"{section.source}: split: {column}" if column else section.source
        raise ValueError(f"{where}: {error}") from None
    split = np.append(split, np.full(n_test, "test"))
    note_overlap(grouped, split, section)
    return _checked(split, strata, names, section)


def _way(section: TableSchema) -> tuple[str, str]:
    """Return how the rows are split, and the column that this is by."""
    given = section.split.given if section.split else {}
    return next(iter(given.items()), ("random", ""))


def columns_of_split(section: TableSchema) -> list[str]:
    """Return the columns that only say how to split the rows and are no features."""
    _, column = _way(section)
    return [column] if column and column not in (section.features or []) else []


def grouping(
    data: pd.DataFrame, section: TableSchema, *, n_test: int = 0
) -> dict[str, np.ndarray]:
    """Return the fields `groups` or `time` of the Table of these rows; empty if the
    section splits by neither. Raises ValueError that names the rows without a value.
    """
    way, column = _way(section)
    if way not in ("groups", "time"):
        return {}
    n = len(data) - n_test
    parts = [(section.source, data[column].iloc[:n])]
    if section.test is not None:
        parts.append((section.test, data[column].iloc[n:]))
    for source, values in parts:
        _check_complete(values, where=f"{source}: split: {column}")
    if way == "groups":
        index, _ = pd.factorize(data[column])
        return {"groups": index.astype(np.int64)}
    times = [time_values(part, where=f"{source}: split") for source, part in parts]
    return {"time": np.concatenate(times)}


def time_values(column: pd.Series, *, where: str) -> np.ndarray:
    """Return the time (n,) float64 of each row: numbers unchanged, dates as seconds.

    Dates are of a type for dates, or texts such as 2024-05-31 or 2024-05-31T12:00.
    Raises ValueError that quotes the first other value.
    """
    if pd.api.types.is_numeric_dtype(column) and column.dtype != bool:
        return column.to_numpy(np.float64)
    dates = column
    if not pd.api.types.is_datetime64_any_dtype(column):
        dates = parse_dates(column.astype(str))
    if (wrong := dates.isna().to_numpy()).any():
        value = column.iloc[int(wrong.argmax())]
        raise ValueError(
            f"{where}: {column.name} has {str(value)!r} in row "
            f"{_row_numbers(column, wrong)[0]}; expected a number, or a date such as "
            "2024-05-31"
        )
    naive = dates.dt.tz_convert(None) if dates.dt.tz is not None else dates
    moments = naive.to_numpy("datetime64[us]")  # of nanoseconds: 1677 to 2262 alone
    return moments.astype(np.int64) / MICROSECONDS


def time_split(time: np.ndarray, *, fractions: Mapping[str, float]) -> np.ndarray:
    """Return the split (n,) of each row, in the order of time: "train" first, then the
    splits in `fractions`, each with its fraction of the rows as nearly as rows of equal
    time, which stay together, allow. Raises ValueError for too few different times.
    """
    n = len(time)
    later = split_sizes(n, fractions)
    ends = np.cumsum([n - sum(later), *later])[:-1].tolist()
    block = blocks_by_time(time, ends)
    return np.array(["train", *fractions])[block]


def group_split(
    groups: np.ndarray,
    strata: np.ndarray,
    *,
    fractions: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """Return the split (n,) of each row, the same for all rows of a group.

    Groups are assigned one by one in a random order, each to the split that leaves the
    least sum of (rows - expected)^2 / expected over splits and strata, where `expected`
    is the split's fraction of the rows of the stratum. Of several orders, the one with
    the least sum at the end is taken. groups, strata: (n,) indices. Raises ValueError
    for fewer groups than splits.
    """
    splits = ["train", *fractions]
    n_groups = len(np.unique(groups))
    if n_groups < len(splits):
        raise ValueError(f"{n_groups} groups are too few for {', '.join(splits)}")
    of_group, index = np.unique(groups, return_inverse=True)
    kept, stratum = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(of_group), len(kept)))  # (groups, strata)
    np.add.at(counts, (index, stratum), 1.0)
    of_rows = np.array([1 - sum(fractions.values()), *fractions.values()])
    expected = of_rows[:, None] * counts.sum(axis=0)  # (splits, strata)
    rng = np.random.default_rng(seed)
    orders = [
        rng.permutation(n_groups)
        for _ in range(max(1, min(ORDERS, MANY_GROUPS // n_groups)))
    ]
    tried = [_assign(counts, expected, order) for order in orders]
    _, best = min(tried, key=lambda each: each[0])
    return np.array(splits)[best[index]]


def _assign(
    counts: np.ndarray, expected: np.ndarray, order: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the final sum and the split (groups,) of each group, in one order."""
    rows = np.zeros_like(expected)
    chosen = np.zeros(len(counts), np.int64)
    for n_before, group in enumerate(order):
        added = counts[group]
        cost = ((2 * (rows - expected) + added) * added / expected).sum(axis=1)
        empty = rows.sum(axis=1) == 0
        if len(order) - n_before <= empty.sum():  # the last groups fill empty splits
            cost[~empty] = np.inf
        chosen[group] = best = int(cost.argmin())
        rows[best] += added
    return float(((rows - expected) ** 2 / expected).sum()), chosen


def _said_split(column: pd.Series, section: TableSchema) -> np.ndarray:
    """Return the split (n,) that a column says."""
    where = f"{section.source}: split: {column.name}"
    _check_complete(column, where=where)
    said = column.astype(str).to_numpy().astype(str)
    wrong = ~np.isin(said, SPLITS)
    if wrong.any():
        values = shorten(map(repr, np.unique(said[wrong]).tolist()), MOST_LISTED)
        raise ValueError(
            f"{where} holds {values}, first in row {_row_numbers(column, wrong)[0]}; "
            "expected train, valid or test"
        )
    if absent := [name for name in SPLITS if name not in said]:
        raise ValueError(f"{where} says {' and '.join(absent)} of no row")
    return said


def _check_complete(column: pd.Series, *, where: str) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        rows = shorten(_row_numbers(column, missing), MOST_LISTED)
        raise ValueError(f"{where} has no value in row {rows}")


def _row_numbers(column: pd.Series, mask: np.ndarray) -> list[int]:
    """Return the numbers of rows in their file, 1 for the first."""
    if pd.api.types.is_integer_dtype(column.index):
        return [int(i) + 1 for i in column.index[mask]]
    return [int(i) + 1 for i in np.flatnonzero(mask)]


def _checked(
    split: np.ndarray,
    strata: np.ndarray,
    names: Sequence[str],
    section: TableSchema,
) -> np.ndarray:
    """Return a split; ValueError for strata that have rows but no training row."""
    counts = {part: np.bincount(strata[split == part]) for part in SPLITS}
    present = np.unique(strata)
    absent = {
        part: [names[c] for c in present if c >= len(n) or not n[c]]
        for part, n in counts.items()
    }
    if absent["train"]:
        listed = shorten(absent["train"], MOST_LISTED)
        raise ValueError(
            f"{section.source}: no training row has {listed}; change `split`, or leave "
            "these rows out"
        )
    for part in ("valid", "test"):
        if absent[part]:
            listed = shorten(absent[part], MOST_LISTED)
            note(f"{section.source}: no {part} row has {listed}")
    return split
