"""The data kind Table: features and an optional target. Axes: n samples, d features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ftml.data import parquet, preprocessing
from ftml.data.checks import as_float64, as_indices, as_integers, check_joins
from ftml.data.columns import Column, decode, encode, numbers
from ftml.data.preprocessing import Preprocessing, Preprocessor
from ftml.data.splits import Splits, consecutive_splits

FILE = "table.parquet"
NO_TARGET = np.zeros(0)
"The y of samples without a target."
NO_GROUPS = np.zeros(0, np.int64)
"The groups of samples that belong to none."
NO_TIME = np.zeros(0)
"The time of samples that have none."
GROUP_COLUMN, TIME_COLUMN = "split_group", "split_time"
"The columns of `table.parquet` for groups and time, if the table has them."


@dataclass(frozen=True)
class Table:
    """Samples as rows of an array.

    X: (n, d) float64, finite. y: (n,) float64 for regression; int64 for classification,
    where y[i] is an index into `classes`. Without a target y is zeros and `target_name`
    is empty. Numbers of other types are converted where that is exact
    (`ftml.data.checks`). Raises ValueError for invalid shapes or values, TypeError for
    values that are not arrays of numbers.

    groups: (n,) int64 indices of the groups, such as persons, that a split keeps
    together; empty without groups. time: (n,) float64, by which a split orders the
    samples; empty without time. positive: of two classes, the index of the one that
    precision and recall are about; None for the second.
    """

    X: np.ndarray
    y: np.ndarray = field(default_factory=lambda: NO_TARGET)
    feature_names: tuple[str, ...] = ()
    target_name: str = "target"
    classes: tuple[str, ...] = ()
    groups: np.ndarray = field(default_factory=lambda: NO_GROUPS)
    time: np.ndarray = field(default_factory=lambda: NO_TIME)
    positive: int | None = None
    preprocessor: Preprocessor | None = None
    "what has turned the columns of a raw table into these features"

    def __post_init__(self) -> None:
        untargeted = self.y is NO_TARGET
        self._convert()
        if untargeted:
            object.__setattr__(self, "y", np.zeros(self.X.shape[:1]))
            object.__setattr__(self, "target_name", "")
        if self.X.ndim != 2 or self.y.shape != self.X.shape[:1]:
            raise ValueError(
                f"expected X (n, d) and y (n,), got {self.X.shape} and {self.y.shape}"
            )
        self._check_values()
        if not self.feature_names:
            names = tuple(f"x{j}" for j in range(self.X.shape[1]))
            object.__setattr__(self, "feature_names", names)
        if len(self.feature_names) != self.X.shape[1]:
            raise ValueError(
                f"X has {self.X.shape[1]} columns, "
                f"feature_names {len(self.feature_names)}"
            )
        self._check_grouping()

    def _convert(self) -> None:
        """Replace the arrays by those of the documented types."""
        if self.classes:
            y = as_indices(self.y, self.classes, what="y", of="classes")
        else:
            y = as_float64(self.y, "y")
        converted = {
            "X": as_float64(self.X, "X"),
            "y": y,
            "groups": as_integers(self.groups, "groups"),
            "time": as_float64(self.time, "time"),
        }
        for name, array in converted.items():
            object.__setattr__(self, name, array)

    def _check_grouping(self) -> None:
        """Raise ValueError unless groups, time and positive fit the samples."""
        for name in ("groups", "time"):
            shape = getattr(self, name).shape
            if shape not in ((0,), self.y.shape):
                raise ValueError(
                    f"{name} must be empty or {self.y.shape}, as y, got {shape}"
                )
        if not np.isfinite(self.time).all():
            raise ValueError("time must be finite; a value is missing or infinite")
        if self.positive is not None and (
            len(self.classes) != 2 or self.positive not in (0, 1)
        ):
            raise ValueError(
                f"positive must be 0 or 1, of two classes, got {self.positive} of "
                f"{len(self.classes)} classes"
            )

    def _check_values(self) -> None:
        if not np.isfinite(self.X).all() or not np.isfinite(self.y).all():
            raise ValueError("X and y must be finite; a value is missing or infinite")

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: np.ndarray) -> Self:
        """Return the rows of a boolean mask or an integer index."""
        return replace(
            self,
            X=self.X[index],
            y=self.y[index],
            groups=self.groups[index] if len(self.groups) else self.groups,
            time=self.time[index] if len(self.time) else self.time,
        )

    def sample(self, share: float, *, seed: int) -> Self:
        """Return a random fraction of the samples, stratified by class, with at least
        one of each class.
        """
        rng = np.random.default_rng(seed)
        groups = [np.arange(len(self.y))]
        if self.classes:
            groups = [np.flatnonzero(self.y == c) for c in np.unique(self.y)]
        chosen = [
            rng.choice(rows, max(1, round(share * len(rows))), replace=False)
            for rows in groups
        ]
        return self.rows(np.sort(np.concatenate(chosen)))

    def join(self, other: Self) -> Self:
        """Return the samples of both, those of this object first.

        Raises ValueError for other columns, classes or targets.
        """
        check_joins(self, other, without=["preprocessor"])
        return replace(
            self,
            X=np.vstack([self.X, other.X]),
            y=np.concatenate([self.y, other.y]),
            groups=np.concatenate([self.groups, other.groups]),
            time=np.concatenate([self.time, other.time]),
        )


@dataclass(frozen=True)
class RawTable(Table):
    """Samples with the columns as their user has them, before they become features.

    X: (n, c) the codes of `columns` (`ftml.data.columns`), NaN where a value is
    missing; `feature_names` are the names of the columns. `preprocessing` says how they
    become features: `fit` learns it from these rows, and `transform` applies it.
    """

    columns: tuple[Column, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def _check_values(self) -> None:
        if np.isinf(self.X).any() or not np.isfinite(self.y).all():
            raise ValueError("X and y must be finite; y must not have missing values")

    def fit(self) -> Preprocessor:
        """Return what these rows say about their columns."""
        return preprocessing.fit(self.X, self.columns, self.preprocessing)

    def transform(self, preprocessor: Preprocessor) -> Table:
        """Return the rows with features in place of columns."""
        kept = {f.name: getattr(self, f.name) for f in fields(Table)}
        kept["X"] = preprocessor.transform(self.X)
        kept["feature_names"] = preprocessor.feature_names
        return Table(**{**kept, "preprocessor": preprocessor})

    def frame(self) -> pd.DataFrame:
        """Return the columns as a frame, without the target."""
        return decode(self.X, self.columns)


def sample_rows(table: Table, n: int, *, seed: int) -> Table:
    """Return a random sample of n rows by the seed, or all if there are no more."""
    if len(table) <= n:
        return table
    order = np.random.default_rng(seed).permutation(len(table))
    return table.rows(order[:n])


def write(folder: Path, table: Table, split: np.ndarray) -> None:
    """Write `table.parquet` into a folder; `split` (n,) names the split of each row.
    The features of a table that is not raw are written as columns of numbers.
    """
    if not isinstance(table, RawTable):
        kept = {f.name: getattr(table, f.name) for f in fields(Table)}
        table = RawTable(**kept, columns=numbers(table.feature_names))
    targets = {table.target_name: table.y} if table.target_name else {}
    grouping = {GROUP_COLUMN: table.groups, TIME_COLUMN: table.time}
    grouping = {name: values for name, values in grouping.items() if len(values)}
    parquet.check_names((*table.feature_names, *targets, *grouping, "split"))
    about: dict[str, Any] = {
        "kind": "Table",
        "columns": [column.to_json() for column in table.columns],
        "preprocessing": table.preprocessing.model_dump(mode="json"),
        "target": table.target_name,
        "classes": table.classes,
    }
    about |= {"grouping": list(grouping)} if grouping else {}
    about |= {} if table.positive is None else {"positive": table.positive}
    # Not DataFrame.assign, for which no column may be named self.
    more = {**targets, **grouping, "split": split.astype(str)}
    columns = pd.concat([table.frame(), pd.DataFrame(more)], axis=1)
    data = pa.Table.from_pandas(columns, preserve_index=False)
    parquet.write(folder / FILE, data, about)


def read(folder: Path) -> Splits[RawTable]:
    """Return the three splits of a prepared table with its columns; ValueError names an
    invalid file.
    """
    data, about = parquet.read(folder / FILE, kind="Table", columns=["split"])
    targets = [about["target"]] if about["target"] else []
    grouping = about.get("grouping", ())
    columns = tuple(Column.from_json(each) for each in about["columns"])
    names = tuple(column.name for column in columns)
    parquet.require(folder / FILE, data, [*names, *targets, *grouping])
    y = data[targets[0]].to_numpy() if targets else np.zeros(len(data))
    whole = RawTable(
        X=encode(data.select(names).to_pandas(), columns),
        y=y.astype(np.int64 if about["classes"] else np.float64),
        feature_names=names,
        target_name=about["target"],
        classes=tuple(about["classes"]),
        groups=data[GROUP_COLUMN].to_numpy() if GROUP_COLUMN in grouping else NO_GROUPS,
        time=data[TIME_COLUMN].to_numpy() if TIME_COLUMN in grouping else NO_TIME,
        positive=about.get("positive"),
        columns=columns,
        preprocessing=Preprocessing.model_validate(about["preprocessing"]),
    )
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def load(folder: Path) -> Splits[Table]:
    """Return the three splits of a prepared table with its features, which are learnt
    from the training split; ValueError names an invalid file.
    """
    return read(folder).prepared()


def small(task: str) -> Splits[Table]:
    """Return small splits of 4 features for tests of a task; always the same.

    Classification and clustering have 3 classes; decomposition has no negative value,
    and binary_density only the values 0 and 1.
    """
    if task in ("regression", "density", "conditional_density"):
        return _small_regression()
    if task == "decomposition":
        return _map_splits(lambda part: Table(np.abs(part.X)))
    if task == "binary_density":
        return _map_splits(lambda part: Table((part.X > 0).astype(np.float64)))
    rng = np.random.default_rng(2)
    y = np.tile(np.arange(3), 14)
    X = rng.normal(size=(42, 4)) + 2.0 * np.eye(3, 4)[y]
    data = Table(X, y, classes=("a", "b", "c"))
    return consecutive_splits(data, n_train=24, n_valid=9)


def _small_regression() -> Splits[Table]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 4))
    y = X @ [1.0, -2.0, 0.5, 0.0] + 3.0 + 0.1 * rng.normal(size=40)
    return consecutive_splits(Table(X, y), n_train=24, n_valid=8)


def _map_splits(change: Callable[[Table], Table]) -> Splits[Table]:
    """Return the small splits of regression, each changed by a function."""
    return Splits(*map(change, vars(_small_regression()).values()))
