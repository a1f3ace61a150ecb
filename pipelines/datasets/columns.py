"""Chooses the columns of a data frame that become features, and describes their kinds.

Nothing is learnt from rows here: `ftml.data.preprocessing` does that, in each fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from ftml.data.column_encoding import STRATEGIES
from ftml.data.columns import Column, describe, encode
from ftml.data.preprocessing import Preprocessing, fit, with_given_values
from ftml.data.reading import missing_message
from pipelines.common.formatting import shorten
from pipelines.datasets.notes import note
from pipelines.datasets.table_rows import check_finite, place_in_file, source_of
from pipelines.datasets.table_sources import check_columns, frame
from pipelines.params.arrays import ColumnsSchema


def read_columns(section: ColumnsSchema, *, others: Sequence[str]) -> pd.DataFrame:
    """Return the columns of the source of a section that have any use: those that may
    be features, and `others`. Columns that the section drops are not looked at.
    """
    columns = None
    if section.features is not None:
        columns = list(dict.fromkeys([*section.features, *others]))
    return frame(
        section.source,
        section.sha256,
        section.read,
        columns=columns,
        omit=section.drop,
    )


def choose_columns(
    data: pd.DataFrame, section: ColumnsSchema, *, others: Sequence[str]
) -> pd.DataFrame:
    """Return the columns of a frame that become features: those that the section lists,
    or all but `others`, such as the target.

    Raises ValueError for a listed column that the frame does not have, and for a column
    whose name the prepared data need for something else.
    """
    listed = section.features or []
    check_columns(data, [*others, *listed], source=section.source)
    names = section.features
    if names is None:
        names = [c for c in data.columns if c not in others]
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


def preprocessing_of(data: pd.DataFrame, section: ColumnsSchema) -> Preprocessing:
    """Return how the columns of a frame become features, with the decimal comma that
    was detected for its file: rows to predict are read with it in every column.
    """
    spec = section.preprocessing
    decimal = data.attrs.get("detected", {}).get("decimal", spec.read.decimal)
    read = spec.read.model_copy(update={"decimal": decimal})
    return spec.model_copy(update={"read": read})


def encode_columns(
    data: pd.DataFrame, section: ColumnsSchema, *, test: pd.DataFrame | None = None
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Return the codes (n, c) of a frame of columns, and the kind of each column.

    test: the same columns of test rows from another file, whose codes follow. Raises
    ValueError for a column of a kind that cannot be a feature, for an infinite value,
    for missing values where the section does not say what becomes of them, for a rule
    that does not fit its column, and for two features of one name; it names the file
    that is at fault. Notes what is filled in, and columns of one value only.
    """
    parts = [data] if test is None else [data, test]
    for part in parts:
        check_finite(part, part.columns, source=section.source)
    whole = pd.concat(parts) if len(parts) > 1 else data
    try:
        columns = describe(whole, max_categories=section.max_categories)
        columns = with_given_values(columns, section.preprocessing)
    except ValueError as error:
        raise ValueError(f"{section.source}: {error}") from None
    codes = np.concatenate([_codes(part, columns, section) for part in parts])
    _note_filled(codes, columns, section)
    try:
        fit(codes, columns, section.preprocessing)  # what it learns is not kept
    except ValueError as error:
        raise ValueError(f"{section.source}: {error}") from None
    _note_constant(codes, columns)
    return codes, columns


def _codes(
    data: pd.DataFrame, columns: Sequence[Column], section: ColumnsSchema
) -> np.ndarray:
    """Return the codes (n, c) of the rows of one file."""
    source = source_of(data, default=section.source)
    try:
        codes = encode(data, columns, place=partial(place_in_file, data))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    strategy = section.preprocessing.strategy
    refused = [
        column.name
        for column, absent in zip(columns, np.isnan(codes).any(axis=0), strict=True)
        if absent and strategy(column.name) == "error"
    ]
    if refused:
        listed = ", ".join(missing_message(data, name) for name in refused)
        raise ValueError(
            f"{source}: values are missing in {listed}; say what becomes of "
            f"them by `missing`: {', '.join(STRATEGIES[1:])}, or a value, for all "
            f"columns or by column"
        )
    return codes


def _note_filled(
    codes: np.ndarray, columns: Sequence[Column], section: ColumnsSchema
) -> None:
    strategy = section.preprocessing.strategy
    counts = {
        column.name: int(n)
        for column, n in zip(columns, np.isnan(codes).sum(axis=0), strict=True)
        if n
    }
    if counts:
        listed = ", ".join(f"{c} ({n}, {strategy(c)})" for c, n in counts.items())
        note(f"missing values are filled in: {listed}")


def _note_constant(codes: np.ndarray, columns: Sequence[Column]) -> None:
    """Note the columns whose rows all have one value, or none."""
    low, high = (
        np.fmin.reduce(codes, axis=0, initial=np.inf),
        np.fmax.reduce(codes, axis=0, initial=-np.inf),
    )
    same = [c.name for c, few in zip(columns, low >= high, strict=True) if few]
    if same and len(codes) > 1:
        note(f"constant columns, which no model can use: {shorten(same)}")


def drop_rows_without(
    data: pd.DataFrame, columns: Sequence[str], section: ColumnsSchema
) -> pd.DataFrame:
    """Return the rows that have a value in all of these columns, such as the target.

    Rows without are left out and counted if the section says so, and the others keep
    their index. Otherwise they are a ValueError.
    """
    source = source_of(data, default=section.source)
    blank = data[list(columns)].isna()
    if not blank.to_numpy().any():
        return data
    if section.missing_target == "error":
        listed = ", ".join(missing_message(data, c) for c in columns if blank[c].any())
        raise ValueError(
            f"{source}: values are missing in {listed}; "
            f"`missing_target: drop` leaves these rows out"
        )
    counts = ", ".join(f"{c} ({n})" for c, n in blank.sum().items() if n)
    of_test = f"{source}: " if source != section.source else ""
    n_rows = int(blank.any(axis=1).sum())
    are = "row is" if n_rows == 1 else "rows are"
    note(f"{of_test}{n_rows} {are} left out, without {counts}")
    return data[~blank.any(axis=1)]
