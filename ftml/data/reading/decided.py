"""A column whose type is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Decided:
    """A column with its type, and what there is to say about it.

    values: (n,), an array of numpy or pandas, or a Series of objects for text.
    missing: how often each text was read as missing. has_point: whether numbers of a
    text file are written with a decimal point.
    """

    values: Any
    notes: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    has_point: bool = False


def without(values: Any, missing: Sequence[str | int | float]) -> Any:
    """Return numbers in which those that mark a missing value are missing."""
    numbers = []
    for each in missing:
        try:
            numbers.append(float(each))
        except ValueError:
            continue
    if not numbers:
        return values
    values = pd.Series(values)
    if type_of(values) != "number":
        return values
    marked = values.isin(numbers).fillna(False).to_numpy(bool)
    if not marked.any():
        return values
    if values.dtype == np.int64:
        values = values.astype("Int64")
    return values.mask(marked)


def type_of(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    return "number" if pd.api.types.is_numeric_dtype(values) else "date"
