"""A value that `ftml init` proposes, and the words for what a column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipelines.common import formatting

FEW_CLASSES = 20
"Different numbers up to which a column is said to hold so many of them."


@dataclass(frozen=True)
class Proposed:
    """A value of params.yaml, and the sentence that explains it."""

    value: Any
    about: str


def kind_of(column: pd.Series) -> str:
    """Return what a column holds: `numbers`, `dates`, `true or false`, `7 texts`."""
    if pd.api.types.is_bool_dtype(column.dropna()):
        return "true or false"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "dates"
    n = column.nunique()
    numeric = pd.api.types.is_numeric_dtype(column)
    if numeric and n > FEW_CLASSES:
        return "numbers"
    return formatting.counted(n, "different number" if numeric else "different text")
