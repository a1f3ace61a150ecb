"""A trained model with everything between a user's rows and it: the columns that it
takes, how they become features, and the names of its classes.

    predictor = ftml.load("model")
    predictor.predict(rows)

The command `ftml predict`, the HTTP server and the library all predict here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

import numpy as np
import pandas as pd

from ftml.config import FamilyConfig
from ftml.core import family
from ftml.data.checks import check_different
from ftml.data.columns import Column, encode
from ftml.data.domains import RawDomains
from ftml.data.preprocessing import Preprocessor
from ftml.data.splits import Splits
from ftml.data.table import RawTable
from ftml.data.text_preparation import TextPreparation
from ftml.tasks import task

TEXT_COLUMNS = ("sequence", "source")
"The columns of rows to predict that hold texts (`ftml.tasks`)."


UNKNOWN_CATEGORY = "a category that no training row had"
"Why a value of a column of categories belongs to none of those that the model knows."


@dataclass(frozen=True)
class Interface:
    """What a model was trained with and its arrays do not say."""

    preprocessor: Preprocessor | None = None
    "what turns the columns of a user's table into features; None without columns"

    takes_columns: bool = True
    """whether rows to predict have these columns; a model that generates samples, for
    example, takes seeds"""

    classes: tuple[str, ...] = ()
    "names of the classes that the model predicts, by index"

    preparation: TextPreparation | None = None
    "how a raw text becomes the symbols that the model takes; None without texts"

    def to_json(self) -> dict[str, object]:
        """Return the interface as JSON."""
        return {
            "preprocessor": self.preprocessor and self.preprocessor.to_json(),
            "takes_columns": self.takes_columns,
            "classes": list(self.classes),
            "preparation": self.preparation and self.preparation.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the interface that `to_json` describes."""
        preprocessor, preparation = value["preprocessor"], value["preparation"]
        return cls(
            preprocessor and Preprocessor.from_json(preprocessor),
            value["takes_columns"],
            tuple(value["classes"]),
            preparation and TextPreparation.from_json(preparation),
        )


def interface_of(kind: ModuleType, splits: Splits[Any]) -> Interface:
    """Return the interface of a model of a task that is trained on these splits."""
    data = splits.train
    preprocessor: Preprocessor | None = getattr(data, "preprocessor", None)
    takes_columns = False
    if preprocessor is not None:
        taken = kind.example(data.rows(np.arange(min(1, len(data))))).columns
        takes_columns = list(taken) == list(preprocessor.feature_names)
    classes: tuple[str, ...] = ()
    if hasattr(kind, "with_class_names"):
        classes = getattr(data, "classes", ()) or getattr(data, "class_names", ())
    preparation: TextPreparation | None = getattr(data, "preparation", None)
    return Interface(preprocessor, takes_columns, tuple(classes), preparation)


def check_rows(rows: pd.DataFrame) -> None:
    """Raise TypeError for what is no frame, and ValueError for a frame without rows and
    for a name that two columns have.
    """
    if not isinstance(rows, pd.DataFrame):
        raise TypeError(f"rows must be a DataFrame, got {type(rows).__name__}")
    check_different([str(name) for name in rows.columns], "the names of the columns")
    if not len(rows):
        raise ValueError("no rows: there is nothing to predict")


def check_values(rows: pd.DataFrame) -> None:
    """Raise ValueError for the first value that is missing or not finite, with its
    column and row: a model whose preprocessing does not say what such a value becomes
    would make a class or a number of it.
    """
    for j, name in enumerate(rows.columns):
        column = rows.iloc[:, j]
        absent = column.isna().to_numpy()
        if not absent.any() and pd.api.types.is_numeric_dtype(column):
            absent = np.isinf(column.to_numpy(np.float64))
        if absent.any():
            i = int(absent.argmax())
            got = "no value" if pd.isna(column.iloc[i]) else f"{column.iloc[i]}"
            raise ValueError(
                f"column {name}, row {i + 1}: expected a finite value, got {got}"
            )


@dataclass(frozen=True)
class Replaced:
    """Values of one column of rows to predict that the model does not take as they are:
    missing values, which it fills in, or categories that it does not know.
    """

    column: str
    reason: str
    "what the values are, and for missing ones the strategy by which they are filled in"

    rows: np.ndarray
    "(n,), whether the value of a row is one of them"


@dataclass(frozen=True)
class Predictor:
    """A trained model of a family, its configuration, and its interface."""

    model: Any
    config: FamilyConfig
    interface: Interface = Interface()

    @property
    def task(self) -> ModuleType:
        """The module of the task that the model serves."""
        return task(family(type(self.config).__module__.split(".")[-1]).task)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a user's table that rows to predict must have; empty if they
        have other ones, which `example` shows.
        """
        preprocessor = self.interface.preprocessor
        if preprocessor is None or not self.interface.takes_columns:
            return ()
        return preprocessor.columns

    def is_optional(self, column: str) -> bool:
        """Return whether a value of one of the columns may be missing."""
        preprocessor = self.interface.preprocessor
        return preprocessor is not None and preprocessor.spec.fills(column)

    @property
    def replaces(self) -> bool:
        """Whether rows that the model takes can have values that it replaces."""
        preprocessor = self.interface.preprocessor
        ignores = preprocessor and preprocessor.spec.handle_unknown == "ignore"
        return any(
            self.is_optional(column.name) or (column.kind == "category" and ignores)
            for column in self.columns
        )

    def replaced(self, rows: pd.DataFrame) -> list[Replaced]:
        """Return the values of rows that `predict` replaces, by column, where there are
        any. Raises ValueError for rows that it refuses.
        """
        preprocessor = self.interface.preprocessor
        if preprocessor is None or not self.columns:
            return []
        spec = preprocessor.spec
        codes = encode(rows, self.columns, dates=spec.read.dates)
        found = []
        for encoding, values in zip(preprocessor.encodings, codes.T, strict=True):
            name, absent = encoding.column.name, np.isnan(values)
            found.append(Replaced(name, f"no value ({spec.strategy(name)})", absent))
            if encoding.column.kind == "category":
                unknown = ~np.isin(values, encoding.seen) & ~absent
                found.append(Replaced(name, UNKNOWN_CATEGORY, unknown))
        return [each for each in found if each.rows.any()]

    def notes(self, rows: pd.DataFrame) -> list[str | None]:
        """Return which values of each row `predict` replaces; None for a row without
        any. Raises ValueError for rows that it refuses.
        """
        lines: list[list[str]] = [[] for _ in range(len(rows))]
        for each in self.replaced(rows):
            for i in np.flatnonzero(each.rows):
                lines[i].append(f"{each.column}: {each.reason}")
        return ["; ".join(line) or None for line in lines]

    def example(self, split: Any) -> pd.DataFrame:
        """Return the first rows of a split as the model takes them: three at most."""
        if self.columns and isinstance(split, RawTable | RawDomains):
            return split.rows(np.arange(min(3, len(split)))).frame()
        found: pd.DataFrame = self.task.example(split)
        return found

    def _prepared_columns(self, rows: pd.DataFrame) -> list[str]:
        """Return the columns of texts that the preparation reads, and checks."""
        if self.interface.preparation is None:
            return []
        return [name for name in TEXT_COLUMNS if name in rows]

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return a row of predictions for each row of a frame.

        rows: the columns of the user's table, in any order; columns that the model does
        not use are ignored. A classifier's `prediction` is the name of a class, and
        `probability_<class>` the probability of each. Raises ValueError for a column
        that is missing or occurs twice, for a value that the model cannot use, with its
        row, and for a frame without rows.
        """
        check_rows(rows)
        preprocessor = self.interface.preprocessor
        if preprocessor is not None and self.interface.takes_columns:
            rows = preprocessor.features(rows)
        else:
            check_values(rows.drop(columns=self._prepared_columns(rows)))
        if (preparation := self.interface.preparation) is not None:
            rows = rows.assign(
                **{
                    name: preparation.prepare(rows[name], where=f"column {name}")
                    for name in self._prepared_columns(rows)
                }
            )
        served: pd.DataFrame = self.task.serve(self.model, rows)
        if self.interface.classes:
            named: pd.DataFrame = self.task.with_class_names(
                served, self.interface.classes
            )
            return named
        return served
