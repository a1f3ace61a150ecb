"""Checks the columns of a data frame and encodes them as features."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ftml.config import nearest


def encode_features(
    data: pd.DataFrame, *, reserved: Iterable[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the features (n, d) float64 of a frame, and their names.

    Numbers are unchanged and booleans become 0 or 1. A text column is one-hot encoded:
    one column of 0 and 1 for each value, named `column=value`. A missing value becomes
    NaN, in a text column in each of its one-hot columns. Raises ValueError for a
    feature name that is in `reserved` or occurs twice, for an infinite value, and for a
    column of any other type.
    """
    columns: dict[str, np.ndarray] = {}
    for name, column in data.items():
        for called, values in _encode_column(str(name), column).items():
            if called in columns or called in set(reserved):
                raise ValueError(
                    f"a feature cannot be named {called!r}: rename the column"
                )
            columns[called] = values
    if not columns:
        raise ValueError("no column is left to be a feature")
    if infinite := [name for name, x in columns.items() if np.isinf(x).any()]:
        raise ValueError(f"values are infinite in {', '.join(infinite)}")
    return np.column_stack(list(columns.values())), tuple(columns)


def _encode_column(name: str, column: pd.Series) -> dict[str, np.ndarray]:
    seen = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or _all_of(seen, (bool, np.bool_)):
        return {name: column.astype("Float64").to_numpy(np.float64, na_value=np.nan)}
    if not (isinstance(column.dtype, pd.CategoricalDtype) or _all_of(seen, str)):
        raise ValueError(f"column {name} is {column.dtype}; expected numbers or text")
    blank = column.isna().to_numpy()
    return {
        f"{name}={value}": np.where(
            blank, np.nan, (column == value).to_numpy(np.float64)
        )
        for value in sorted(seen.unique())
    }


def _all_of(values: pd.Series, kind: type | tuple[type, ...]) -> bool:
    return all(isinstance(value, kind) for value in values)


def check_columns(data: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Raise ValueError for the first of the columns that is not in the frame."""
    for name in columns:
        if name not in data.columns:
            raise ValueError(
                f"{source}: no column {name!r}{nearest(name, data.columns)}"
            )
