"""From the columns of a table to the features of a model: what is learnt from training
rows, kept as values, and applied to the rows to predict.

`fit` learns a `Preprocessor` from the codes of training rows (`ftml.data.columns`) and
`Preprocessor.transform` applies it to the codes of any rows. Source: the methods are
those of scikit-learn's SimpleImputer, OneHotEncoder, StandardScaler and Binarizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from ftml.config import StrictModel, nearest
from ftml.data.column_encoding import STRATEGIES, ColumnEncoding, fit_column
from ftml.data.columns import Column, encode
from ftml.data.parquet import check_names
from ftml.data.reading import ReadOptions
from ftml.data.standardize import moments, standardized


class Preprocessing(StrictModel):
    """How columns become features: keys of a dataset in params.yaml."""

    missing: str | float | dict[str, str | float] = "error"
    """what a missing value becomes: error, mean, median, most_frequent, indicator
    (the median, and a feature that is 1 where the value was missing), or a value; one
    for all columns, or by column, such as {age: median, deck: none}. A category and a
    boolean have no mean: they get the most frequent value, and with indicator a
    category belongs to none of the known ones"""

    handle_unknown: Literal["ignore", "error"] = "ignore"
    """what a category becomes that no training row has: with ignore it belongs to none
    of the known ones, so that all their features are 0"""

    date_features: Literal["both", "parts", "elapsed"] = "both"
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
                encoding.transform(codes[:, j], handle_unknown=self.spec.handle_unknown)
                for j, encoding in enumerate(self.encodings)
            ]
        )
        if self.mean is not None and self.scale is not None:
            X = standardized(X, self.mean, self.scale, names=self.feature_names)
        if self.spec.binarize is not None:
            X = np.greater(X, self.spec.binarize).astype(np.float64)
        return X

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the features of the rows of a frame, which may have more columns.

        Raises ValueError as `encode` and `transform` do.
        """
        X = self.transform(encode(frame, self.columns, dates=self.spec.read.dates))
        return pd.DataFrame(X, columns=list(self.feature_names))

    def to_json(self) -> dict[str, object]:
        """Return everything that was learnt as JSON."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "encodings": [encoding.to_json() for encoding in self.encodings],
            "mean": None if self.mean is None else self.mean.tolist(),
            "scale": None if self.scale is None else self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the preprocessor that `to_json` describes."""
        encodings = tuple(map(ColumnEncoding.from_json, value["encodings"]))
        mean, scale = value["mean"], value["scale"]
        return cls(
            Preprocessing.model_validate(value["spec"]),
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
        fit_column(
            codes[:, j],
            column,
            strategy=spec.strategy(column.name),
            date_features=spec.date_features,
        )
        for j, column in enumerate(columns)
    )
    names = _names(encodings)
    check_names(names)
    unscaled = Preprocessor(
        spec.model_copy(update={"scale": False, "binarize": None}), encodings, names
    )
    if not spec.scale:
        return Preprocessor(spec, encodings, names)
    X = unscaled.transform(codes)
    mean, scale = moments(X)
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
