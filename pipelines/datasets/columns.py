"""Chooses the columns of a data frame that become features, and describes their kinds.

Nothing is learnt from rows here: `ftml.data.preprocessing` does that, in each fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data.columns import Column, describe, encode
from ftml.data.preprocessing import STRATEGIES, with_given_values
from pipelines.datasets.notes import note
from pipelines.params.arrays import ColumnsSchema


def check_columns(data: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Raise ValueError for the first of the columns that is not in the frame."""
    for name in columns:
        if name not in data.columns:
            raise ValueError(
                f"{source}: no column {name!r}{nearest(name, data.columns)}"
            )


def choose_columns(
    data: pd.DataFrame, section: ColumnsSchema, *, others: Sequence[str]
) -> pd.DataFrame:
    """Return the columns of a frame that become features: those that the section lists,
    or all but `others`, such as the target, and those that it drops.

    Raises ValueError for a listed column that the frame does not have, and for a column
    whose name the prepared data need for something else.
    """
    listed = [*(section.features or []), *section.drop]
    check_columns(data, [*others, *listed], source=section.source)
    names = section.features
    if names is None:
        names = [c for c in data.columns if c not in {*others, *section.drop}]
    if known := set(others) & set(names):
        raise ValueError(
            f"features: {', '.join(sorted(known))} cannot be a feature as well"
        )
    for name in names:
        if name in section.RESERVED:
            raise ValueError(
                f"{section.source}: a feature cannot be named {name!r}; rename the "
                f"column, or list it in `drop`"
            )
    return data[names]


def encode_columns(
    data: pd.DataFrame, section: ColumnsSchema
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Return the codes (n, c) of a frame of columns, and the kind of each column.

    Raises ValueError for a column of a kind that cannot be a feature, for an infinite
    value, and for missing values where the section does not say what becomes of them.
    Notes what is filled in, and columns of one value only.
    """
    try:
        columns = describe(data, max_categories=section.max_categories)
        columns = with_given_values(columns, section.preprocessing)
        codes = encode(data, columns)
    except ValueError as error:
        raise ValueError(f"{section.source}: {error}") from None
    _check_missing(codes, columns, section)
    _note_constant(codes, columns)
    return codes, columns


def _check_missing(
    codes: np.ndarray, columns: Sequence[Column], section: ColumnsSchema
) -> None:
    counts = {
        column.name: int(n)
        for column, n in zip(columns, np.isnan(codes).sum(axis=0), strict=True)
        if n
    }
    strategy = section.preprocessing.strategy
    if refused := [name for name in counts if strategy(name) == "error"]:
        listed = ", ".join(f"{name} ({counts[name]})" for name in refused)
        raise ValueError(
            f"{section.source}: values are missing in {listed}; say what becomes of "
            f"them by `missing`: {', '.join(STRATEGIES[1:])}, or a value, for all "
            f"columns or by column"
        )
    if counts:
        listed = ", ".join(f"{c} ({n}, {strategy(c)})" for c, n in counts.items())
        note(f"missing values are filled in: {listed}")


def _note_constant(codes: np.ndarray, columns: Sequence[Column]) -> None:
    """Note the columns whose rows all have one value, or none."""
    same = [
        column.name
        for column, values in zip(columns, codes.T, strict=True)
        if len(np.unique(values[~np.isnan(values)])) <= 1
    ]
    if same and len(codes) > 1:
        note(f"columns with one value only, which tell nothing: {shorten(same)}")


def shorten(names: Sequence[str], most: int = 12) -> str:
    """Return names as one text; of more than `most` names only the first."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def drop_rows_without(
    data: pd.DataFrame, columns: Sequence[str], section: ColumnsSchema
) -> pd.DataFrame:
    """Return the rows that have a value in all of these columns, such as the target.

    Rows without are left out and counted if the section says so; otherwise they are an
    ValueError.
    """
    blank = data[list(columns)].isna()
    if not blank.to_numpy().any():
        return data
    counts = ", ".join(f"{c} ({n})" for c, n in blank.sum().items() if n)
    if section.missing_target == "error":
        rows = np.flatnonzero(blank.any(axis=1))[:5] + 1
        raise ValueError(
            f"{section.source}: values are missing in {counts}, first in row "
            f"{', '.join(map(str, rows))}; `missing_target: drop` leaves these rows out"
        )
    note(f"{int(blank.any(axis=1).sum())} rows are left out, without {counts}")
    return data[~blank.any(axis=1)].reset_index(drop=True)
