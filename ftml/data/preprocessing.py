"""From the columns of a table to the features of a model: what is learnt from training
rows, kept as values, and applied to the rows to predict.

`fit` learns a `Preprocessor` from the codes of training rows (`ftml.data.columns`) and
`Preprocessor.transform` applies it to the codes of any rows. Source: the methods are
those of scikit-learn's SimpleImputer, OneHotEncoder, StandardScaler and Binarizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ftml.config import nearest
from ftml.data.columns import Column, column_of, encode
from ftml.data.parquet import check_names
from ftml.data.reading import ReadOptions

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


class Preprocessing(BaseModel):
    """How columns become features. Frozen; unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    missing: str | float | dict[str, str | float] = "error"
    """what a missing value becomes: error, mean, median, most_frequent, indicator
    (the median, and a feature that is 1 where the value was missing), or a value; one
    for all columns, or by column, such as {age: median, deck: none}. A category and a
    boolean have no mean: they get the most frequent value, and with indicator a
    category belongs to none of the known ones"""

    unknown: Literal["ignore", "error"] = "ignore"
    """what a category becomes that no training row has: with ignore it belongs to none
    of the known ones, so that all their features are 0"""

    dates: Literal["both", "parts", "elapsed"] = "both"
    """what a date becomes: its parts (year, month, day, weekday, hour), the days that
    elapsed since the first date of the training rows, or both"""

    scale: bool = False
    """whether to standardize each feature: subtract its mean and divide by its standard
    deviation, both computed on the training rows"""

    binarize: float | None = None
    "threshold: features above it become 1, all others 0. By default features are kept"

    read: ReadOptions = ReadOptions()
    """how a file of the table is read, also one of rows to predict; by default what is
    safe is detected"""

    def strategy(self, name: str) -> str | float:
        """Return what a missing value of a column becomes."""
        if isinstance(self.missing, dict):
            return self.missing.get(name, "error")
        return self.missing

    def fills(self, name: str) -> bool:
        """Return whether a column may have missing values."""
        return self.strategy(name) != "error"


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

    def transform(self, codes: np.ndarray, *, unknown: str) -> np.ndarray:
        """Return the features (n, p) of the codes (n,) of the column."""
        absent = np.isnan(codes)
        if absent.any() and self.strategy == "error":
            raise ValueError(
                f"column {self.column.name}: no value in {_rows(absent)}; `missing` "
                f"says what becomes of it"
            )
        filled = codes if self.fill is None else np.where(absent, self.fill, codes)
        features = self._features(filled, unknown=unknown)
        if self.strategy == "indicator":
            features = np.column_stack([features, absent])
        return features

    def _features(self, codes: np.ndarray, *, unknown: str) -> np.ndarray:
        if self.column.kind == "category":
            known = np.isin(codes, self.seen) | np.isnan(codes)
            if unknown == "error" and not known.all():
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

    def as_json(self) -> dict[str, Any]:
        return {
            "column": self.column.as_json(),
            "strategy": self.strategy,
            "fill": self.fill,
            "seen": list(self.seen),
            "parts": list(self.parts),
            "start": self.start,
        }


@dataclass(frozen=True)
class Preprocessor:
    """What was learnt from the training rows: an encoding for each column, and, if
    features are scaled, the mean and the scale of each of the p features, (p,).
    """

    spec: Preprocessing
    encodings: tuple[ColumnEncoding, ...]
    feature_names: tuple[str, ...]
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the rows to predict must have."""
        return tuple(encoding.column for encoding in self.encodings)

    @property
    def is_identity(self) -> bool:
        """Whether the features are the codes: numbers that are neither filled nor
        scaled.
        """
        plain = all(
            encoding.column.kind in ("number", "boolean") and encoding.fill is None
            for encoding in self.encodings
        )
        return plain and self.scale is None and self.spec.binarize is None

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Return the features (n, p) of codes (n, c).

        Raises ValueError for a missing value or an unknown category where the
        preprocessing says so, with the column and its rows; row 1 is the first.
        """
        if codes.ndim != 2 or codes.shape[1] != len(self.encodings):
            raise ValueError(
                f"expected codes (n, {len(self.encodings)}), got {codes.shape}"
            )
        if self.is_identity and not np.isnan(codes).any():
            return codes
        X = np.column_stack(
            [
                encoding.transform(codes[:, j], unknown=self.spec.unknown)
                for j, encoding in enumerate(self.encodings)
            ]
        )
        if self.mean is not None and self.scale is not None:
            X = (X - self.mean) / self.scale
        if self.spec.binarize is not None:
            X = np.greater(X, self.spec.binarize).astype(np.float64)
        return X

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the features of the rows of a frame, which may have more columns.

        Raises ValueError as `encode` and `transform` do.
        """
        X = self.transform(encode(frame, self.columns, dates=self.spec.read.dates))
        return pd.DataFrame(X, columns=list(self.feature_names))

    def unknown_categories(self, frame: pd.DataFrame) -> dict[str, int]:
        """Return the number of rows with a category that no training row has, by
        column, where there are any.
        """
        codes = encode(frame, self.columns, dates=self.spec.read.dates)
        found = {}
        for j, encoding in enumerate(self.encodings):
            if encoding.column.kind == "category":
                known = np.isin(codes[:, j], encoding.seen) | np.isnan(codes[:, j])
                found[encoding.column.name] = int((~known).sum())
        return {name: count for name, count in found.items() if count}

    def as_json(self) -> dict[str, Any]:
        """Return everything that was learnt as JSON, for `preprocessor_of`."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "encodings": [encoding.as_json() for encoding in self.encodings],
            "mean": None if self.mean is None else self.mean.tolist(),
            "scale": None if self.scale is None else self.scale.tolist(),
        }


def preprocessor_of(described: dict[str, Any]) -> Preprocessor:
    """Return the preprocessor that `Preprocessor.as_json` has described."""
    encodings = tuple(
        ColumnEncoding(
            column_of(each["column"]),
            each["strategy"],
            each["fill"],
            tuple(each["seen"]),
            tuple(each["parts"]),
            each["start"],
        )
        for each in described["encodings"]
    )
    mean, scale = described["mean"], described["scale"]
    return Preprocessor(
        Preprocessing.model_validate(described["spec"]),
        encodings,
        _names(encodings),
        None if mean is None else np.array(mean),
        None if scale is None else np.array(scale),
    )


def fit(
    codes: np.ndarray, columns: Sequence[Column], spec: Preprocessing
) -> Preprocessor:
    """Return what the codes (n, c) of the training rows say about the columns.

    Raises ValueError for a missing value that the spec calls an error, for a value to
    fill in that is not of the column's kind, and for two features of one name.
    """
    encodings = tuple(
        _fit_column(codes[:, j], column, spec) for j, column in enumerate(columns)
    )
    names = _names(encodings)
    check_names(names)
    unscaled = Preprocessor(
        spec.model_copy(update={"scale": False, "binarize": None}), encodings, names
    )
    if not spec.scale:
        return Preprocessor(spec, encodings, names)
    X = unscaled.transform(codes)
    # Not std > 0: rounding gives a constant column of 0.1 a standard deviation of
    # 1e-17.
    varies = X.min(axis=0) < X.max(axis=0)
    mean = np.where(varies, X.mean(axis=0), X.min(axis=0))
    scale = np.where(varies, X.std(axis=0), 1.0)
    return Preprocessor(spec, encodings, names, mean, scale)


def with_given_values(
    columns: Sequence[Column], spec: Preprocessing
) -> tuple[Column, ...]:
    """Return the columns, each category with the value that the spec gives to missing
    ones among its values.

    Raises ValueError for a name in `missing` that is no column.
    """
    names = [column.name for column in columns]
    if isinstance(spec.missing, dict):
        for name in spec.missing:
            if name not in names:
                raise ValueError(f"missing: no column {name!r}{nearest(name, names)}")
    found = []
    for column in columns:
        given = spec.strategy(column.name)
        if column.kind == "category" and given not in STRATEGIES:
            values = tuple(sorted({*column.values, str(given)}))
            column = replace(column, values=values)
        found.append(column)
    return tuple(found)


def _names(encodings: Sequence[ColumnEncoding]) -> tuple[str, ...]:
    return tuple(name for encoding in encodings for name in encoding.feature_names)


def _fit_column(
    codes: np.ndarray, column: Column, spec: Preprocessing
) -> ColumnEncoding:
    strategy = spec.strategy(column.name)
    fill = _fill(codes[~np.isnan(codes)], column, strategy)
    filled = codes[~np.isnan(codes)]
    if fill is not None and len(filled) < len(codes):
        filled = np.append(filled, fill)
    if column.kind == "category":
        seen = tuple(int(code) for code in np.unique(filled) if code >= 0)
        return ColumnEncoding(column, strategy, fill, seen)
    if column.kind == "date":
        parts = () if spec.dates == "elapsed" else _parts_that_vary(filled)
        start = None if spec.dates == "parts" else float(filled.min(initial=np.inf))
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
    return float(values.mean() if strategy == "mean" else np.median(values))


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
    dates = pd.to_datetime(pd.Series(seconds), unit="s")
    columns = [getattr(dates.dt, PARTS[part]).to_numpy(np.float64) for part in parts]
    return np.column_stack(columns) if columns else np.empty((len(seconds), 0))


def _rows(chosen: np.ndarray) -> str:
    """Return the numbers of the rows that a mask chooses, counted from 1."""
    rows = np.flatnonzero(chosen) + 1
    if len(rows) == 1:
        return f"row {rows[0]}"
    listed = ", ".join(map(str, rows[:5]))
    return f"rows {listed}" + (f", ... ({len(rows)} rows)" if len(rows) > 5 else "")
