"""A column of text before its type is decided: its values, and which rows have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Where = Callable[[Sequence[int]], list[str]]

LONGEST = 40
"Characters of the longest text that may be a number or a date."
N_COUNTED = 2000
"How many rows of a column are looked at for how many values are different."


@dataclass(frozen=True)
class Texts:
    """A column of text: values in the order of their first row, and the position (n,)
    of each row's value among them, -1 for a missing value. A value occurs once, unless
    most values are different, where it is faster to encode each row.
    """

    name: str
    values: pa.Array
    codes: np.ndarray
    where: Where

    @classmethod
    def of(cls, name: str, column: pa.ChunkedArray, where: Where) -> Texts:
        few = column.slice(0, N_COUNTED)
        if 2 * pc.count_distinct(few).as_py() > len(few) == N_COUNTED:
            return cls.of_rows(name, column, where)
        encoded = pc.dictionary_encode(column).combine_chunks()
        codes = encoded.indices.fill_null(-1).to_numpy()
        return cls(name, encoded.dictionary, codes, where)

    @classmethod
    def of_rows(cls, name: str, column: pa.ChunkedArray, where: Where) -> Texts:
        values = column.combine_chunks()
        rows = np.arange(len(values))
        if values.null_count:
            rows[values.is_null().to_numpy(zero_copy_only=False)] = -1
            values = values.fill_null("")
        return cls(name, values, rows, where)

    def first(self, i: int) -> str:
        """Return where the value at a position first occurs."""
        return self.where([int(np.argmax(self.codes == i))])[0]

    def matches(self, pattern: str) -> np.ndarray:
        """Return which values (m,) match a pattern and are short."""
        short = pc.less_equal(pc.utf8_length(self.values), LONGEST)
        found = pc.and_(short, pc.match_substring_regex(self.values, pattern))
        return found.to_numpy(zero_copy_only=False)

    def counts(self) -> np.ndarray:
        """Return how often each value occurs, as integers."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    def refuse(self, wrong: np.ndarray, expected: str) -> None:
        """Raise ValueError that names the first wrong value, and counts the rows."""
        i = int(np.flatnonzero(wrong)[0])
        n = int(self.counts()[wrong].sum())
        rows = "1 row" if n == 1 else f"{n} rows"
        raise ValueError(
            f"column {self.name}, {self.first(i)} holds {self.values[i].as_py()!r}; "
            f"expected {expected} ({rows} of {len(self.codes)}); read.na_values names "
            "texts that are missing values"
        )

    def spread(self, values: np.ndarray) -> Any:
        """Return the value of each row; of a type with missing values if one is."""
        missing = self.codes < 0
        if not missing.any():
            whole = values[self.codes]
            return pd.Series(whole, dtype=object) if whole.dtype == object else whole
        filled = np.append(values, values[:1] if len(values) else np.zeros(1))
        rows = filled[self.codes]
        if values.dtype == np.int64:
            return pd.arrays.IntegerArray(rows, missing)
        if values.dtype == bool:
            return pd.arrays.BooleanArray(rows, missing)
        if values.dtype == object:
            rows[missing] = None
            return pd.Series(rows, dtype=object)
        rows[missing] = np.datetime64("NaT") if rows.dtype.kind == "M" else np.nan
        return rows

    def objects(self, kept: np.ndarray, codes: np.ndarray) -> pd.Series:
        """Return the texts as they are in the file, None for a missing one. A space
        that all texts begin with belongs to the separator.
        """
        values = self.values.take(pa.array(kept))
        if pc.all(pc.starts_with(values, " ")).as_py():
            values = pc.utf8_ltrim_whitespace(values)
        objects = np.array([*values.to_pylist(), None], object)[:-1]
        return Texts(self.name, values, codes, self.where).spread(objects)
