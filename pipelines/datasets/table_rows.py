"""Where the rows of a frame are in their file, for messages about them.

A frame that is read from a source has its `Origin` in `attrs["origin"]`, and its index
is the row in the file that was read, from 0; both survive when rows are left out. So a
stage that reads two files, `source` and `test`, keeps one frame for each.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ftml.data.columns import row_number
from ftml.data.reading import ReadOptions, row_places
from pipelines.datasets.sources import fetch

ORIGIN = "origin"


@dataclass(frozen=True)
class Origin:
    """The source of a frame, and how its file was read."""

    source: str
    sha256: str | None = None
    read: ReadOptions | None = None

    def __deepcopy__(self, memo: Any) -> Self:
        return self  # pandas copies `attrs` at every operation

    def place(self, row: int) -> str:
        """Return where a person finds a row of the file: `line 6`, `row 6`."""
        if self.source.startswith("sklearn:"):
            return row_number(row)
        (file,) = fetch(self.source, self.sha256)
        (found,) = row_places(file, self.read, [row])
        return found


def source_of(data: pd.DataFrame, *, default: str) -> str:
    """Return the source that a frame is from; the default for generated data."""
    origin: Origin | None = data.attrs.get(ORIGIN)
    return default if origin is None else origin.source


def place_in_file(data: pd.DataFrame, position: int) -> str:
    """Return where a person finds the row of a frame at a position, from 0."""
    origin: Origin | None = data.attrs.get(ORIGIN)
    if origin is None:
        return row_number(position)
    return origin.place(int(data.index[position]))


def check_finite(data: pd.DataFrame, columns: Collection[str], *, source: str) -> None:
    """Raise ValueError for the first infinite number in these columns of a frame, with
    its column and place. source: of data that are not read from a file.
    """
    for name in columns:
        if not pd.api.types.is_float_dtype(column := data[name]):
            continue
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        if not (infinite := np.isinf(numbers)).any():
            continue
        row = int(infinite.argmax())
        marks = ", ".join(f"{each:g}" for each in np.unique(numbers[infinite]))
        raise ValueError(
            f"{source_of(data, default=source)}: column {name}, "
            f"{place_in_file(data, row)} holds {numbers[row]:g}; expected a finite "
            f"number ({int(infinite.sum())} of {len(data)} rows); read: {{na_values: "
            f"[{marks}]}} reads such values as missing"
        )
