"""How one column of a table becomes features: what is learnt about it, and its error.

`ftml.data.preprocessing` applies this to all columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ftml.data.columns import Column, encode, moments_of
from ftml.data.standardize import unit_of

STRATEGIES = ("error", "mean", "median", "most_frequent", "indicator")
PARTS = {
    "year": "year",
    "month": "month",
    "day": "day",
    "weekday": "day_of_week",
    "hour": "hour",
}
"The parts of a date, and what pandas calls them."
DAY = 86400.0


@dataclass(frozen=True)
class ColumnEncoding:
    """What was learnt about one column: how its codes become features."""

    column: Column
    strategy: str | float
    fill: float | None = None
    "code that replaces a missing one; None if a missing value is an error or no class"

    seen: tuple[int, ...] = ()
    "the categories of the training rows: each becomes a feature, 0 or 1"

    parts: tuple[str, ...] = ()
    "the parts of a date that become features"

    start: float | None = None
    "seconds from which elapsed days count; None without that feature"

    @property
    def feature_names(self) -> list[str]:
        name = self.column.name
        if self.column.kind == "category":
            names = [f"{name}={self.column.values[code]}" for code in self.seen]
        elif self.column.kind == "date":
            names = [f"{name} {part}" for part in self.parts]
            names += [] if self.start is None else [f"{name} elapsed days"]
        else:
            names = [name]
        return names + ([f"{name} is missing"] if self.strategy == "indicator" else [])

    def transform(self, codes: np.ndarray, *, handle_unknown: str) -> np.ndarray:
        """Return the features (n, p) of the codes (n,) of the column."""
        absent = np.isnan(codes)
        if absent.any() and self.strategy == "error":
            raise ValueError(
                f"column {self.column.name}: no value in {_rows(absent)}; `missing` "
                f"says what becomes of it"
            )
        filled = codes if self.fill is None else np.where(absent, self.fill, codes)
        features = self._features(filled, handle_unknown=handle_unknown)
        if self.strategy == "indicator":
            features = np.column_stack([features, absent])
        return features

    def _features(self, codes: np.ndarray, *, handle_unknown: str) -> np.ndarray:
        if self.column.kind == "category":
            known = np.isin(codes, self.seen) | np.isnan(codes)
            if handle_unknown == "error" and not known.all():
                listed = ", ".join(self.column.values[code] for code in self.seen[:12])
                raise ValueError(
                    f"column {self.column.name}: a category that no training row has "
                    f"in {_rows(~known)}; expected one of {listed}"
                )
            return np.equal.outer(codes, np.array(self.seen, float)).astype(float)
        if self.column.kind == "date":
            parts = _date_parts(codes, self.parts)
            if self.start is not None:
                parts = np.column_stack([parts, (codes - self.start) / DAY])
            return parts
        return codes[:, None]

    def to_json(self) -> dict[str, object]:
        """Return the encoding as JSON."""
        return {
            "column": self.column.to_json(),
            "strategy": self.strategy,
            "fill": self.fill,
            "seen": list(self.seen),
            "parts": list(self.parts),
            "start": self.start,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the encoding that `to_json` describes."""
        return cls(
            Column.from_json(value["column"]),
            value["strategy"],
            value["fill"],
            tuple(value["seen"]),
            tuple(value["parts"]),
            value["start"],
        )


def fit_column(
    codes: np.ndarray, column: Column, *, strategy: str | float, date_features: str
) -> ColumnEncoding:
    """Return how a column becomes features, from the codes (n,) of training rows.

    strategy: what a missing value becomes. date_features: `both`, `parts` or `elapsed`.
    Raises ValueError for a value to fill in that is not of the column's kind.
    """
    fill = _fill(codes[~np.isnan(codes)], column, strategy)
    filled = codes[~np.isnan(codes)]
    if fill is not None and len(filled) < len(codes):
        filled = np.append(filled, fill)
    if column.kind == "category":
        seen = tuple(int(code) for code in np.unique(filled) if code >= 0)
        return ColumnEncoding(column, strategy, fill, seen)
    if column.kind == "date":
        parts = () if date_features == "elapsed" else _parts_that_vary(filled)
        start = None if date_features == "parts" else float(filled.min(initial=np.inf))
        if start is not None and not np.isfinite(start):
            start = 0.0
        return ColumnEncoding(column, strategy, fill, (), parts, start)
    return ColumnEncoding(column, strategy, fill)


def _fill(values: np.ndarray, column: Column, strategy: str | float) -> float | None:
    """Return the code that a missing value gets, from the values that are there."""
    if strategy == "error" or (column.kind == "category" and strategy == "indicator"):
        return None
    if strategy not in STRATEGIES:
        return _given_value(column, strategy)
    if not len(values):
        return 0.0
    if strategy == "most_frequent" or column.kind in ("boolean", "category"):
        found, counts = np.unique(values, return_counts=True)
        return float(found[counts.argmax()])
    unit = unit_of(values)
    scaled = values if unit == 1 else values / unit
    return float((scaled.mean() if strategy == "mean" else np.median(scaled)) * unit)


def _given_value(column: Column, value: str | float) -> float:
    """Return the code of a value that the user has given for missing ones."""
    frame = pd.DataFrame({column.name: [value]})
    if column.kind == "category" and str(value) not in column.values:
        known = ", ".join(column.values[:12])
        raise ValueError(
            f"missing: {value!r} is neither one of {', '.join(STRATEGIES)} nor a value "
            f"of column {column.name}: {known}"
        )
    try:
        return float(encode(frame, [column])[0, 0])
    except ValueError:
        raise ValueError(
            f"missing: {value!r} is neither one of {', '.join(STRATEGIES)} nor a "
            f"{column.kind}, which column {column.name} holds"
        ) from None


def _parts_that_vary(seconds: np.ndarray) -> tuple[str, ...]:
    """Return the parts of dates that differ between rows, or the year if none does."""
    values = _date_parts(seconds, tuple(PARTS))
    varying = [
        part for part, each in zip(PARTS, values.T, strict=True) if len(set(each)) > 1
    ]
    return tuple(varying) or ("year",)


def _date_parts(seconds: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    """Return these parts of dates (n,) as numbers, (n, p); Monday is weekday 0."""
    dates = moments_of(seconds)
    columns = [getattr(dates.dt, PARTS[part]).to_numpy(np.float64) for part in parts]
    return np.column_stack(columns) if columns else np.empty((len(seconds), 0))


def _rows(chosen: np.ndarray) -> str:
    """Return the numbers of the rows that a mask chooses, counted from 1."""
    rows = np.flatnonzero(chosen) + 1
    if len(rows) == 1:
        return f"row {rows[0]}"
    listed = ", ".join(map(str, rows[:5]))
    return f"rows {listed}" + (f", ... ({len(rows)} rows)" if len(rows) > 5 else "")
