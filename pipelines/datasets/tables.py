"""Stage `tables`: turns a data frame into typed columns, a target and three splits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.preprocessing import Preprocessing
from ftml.data.ring import ring
from pipelines.datasets.columns import (
    choose_columns,
    drop_rows_without,
    encode_columns,
    preprocessing_of,
    read_columns,
)
from pipelines.datasets.plausibility import (
    note_copies_of_target,
    note_order_of_rows,
    note_target,
)
from pipelines.datasets.separate_test import read_test_rows
from pipelines.datasets.similar import columns_of_text, note_similar
from pipelines.datasets.table_rows import check_finite
from pipelines.datasets.table_splits import columns_of_split, grouping, split_rows
from pipelines.datasets.targets import (
    positive_class,
    read_target,
    refuse_constant,
    refuse_constant_training,
)
from pipelines.params.arrays import TableSchema

N_SAMPLES = 1000
"Rows of a generated table when the section gives no `n_samples`."


def prepare(section: TableSchema, folder: Path) -> None:
    """Write the table that a section describes into a folder.

    Raises ValueError for a column that the table does not have or that cannot be a
    feature, for infinite numbers, for missing values without a rule for them, for a
    target to predict with one value, and for a class with too few rows for every split
    to get one.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    rows = _read(section)
    X, columns = encode_columns(
        rows.source[rows.features],
        section,
        test=None if rows.test is None else rows.test[rows.features],
    )
    data, n_test = rows.whole, rows.n_test
    y, classes = _target(rows, section)
    strata, called = np.zeros(len(X), np.int64), ["the table"]
    if section.task == "classification":
        strata, called = y, [f"class {name}" for name in classes]
    grouped = grouping(data, section, n_test=n_test)
    split = split_rows(
        data, section, strata=strata, names=called, grouped=grouped, n_test=n_test
    )
    refuse_constant_training(y, split, section)
    whole = table.RawTable(
        X,
        y,
        tuple(column.name for column in columns),
        section.target or "",
        classes,
        positive=positive_class(section, classes),
        columns=columns,
        preprocessing=rows.preprocessing,
        groups=grouped.get("groups", table.NO_GROUPS),
        time=grouped.get("time", table.NO_TIME),
    )
    table.write(folder, whole, split)


@dataclass(frozen=True)
class _Rows:
    """The rows of a section with all columns in use: those of `source`, and those of
    `test` if it has one.
    """

    source: pd.DataFrame
    test: pd.DataFrame | None
    features: list[str]
    preprocessing: Preprocessing

    @property
    def parts(self) -> list[pd.DataFrame]:
        return [self.source] if self.test is None else [self.source, self.test]

    @cached_property
    def whole(self) -> pd.DataFrame:
        """All rows, those of `test` last."""
        return self.source if self.test is None else pd.concat(self.parts)

    @property
    def n_test(self) -> int:
        return 0 if self.test is None else len(self.test)


def _read(section: TableSchema) -> _Rows:
    """Return the rows of a section that have a target, and note what is strange."""
    targets = [] if section.target is None else [section.target]
    others = [*targets, *columns_of_split(section)]
    if section.source.startswith("made:"):
        data = _generate(section)
    else:
        data = read_columns(section, others=others)
    features = list(choose_columns(data, section, others=others).columns)
    preprocessing = preprocessing_of(data, section)
    note_order_of_rows(data, section)
    data = drop_rows_without(data, targets, section)
    test = read_test_rows(data, section, read=preprocessing.read)
    rows = _Rows(data, test, features, preprocessing)
    for part in rows.parts:
        check_finite(part, others, source=section.source)
    note_similar(section.source, columns_of_text(rows.whole))
    return rows


def _target(rows: _Rows, section: TableSchema) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the target (n,) of all rows, and the names of its classes."""
    if section.target is None:
        return read_target(None, section)
    refuse_constant(rows.source[section.target], section)
    target = rows.whole[section.target]
    note_target(target, section)
    features = [*rows.features, str(section.target)]
    note_copies_of_target(rows.source[features], section)
    return read_target(target, section)


def _generate(section: TableSchema) -> pd.DataFrame:
    """Return a generated table as a frame, its target named as in the section."""
    generate = {"made:inverse_sinusoid": inverse_sinusoid, "made:ring": ring}[
        section.source
    ]
    rows = generate(n_samples=section.n_samples or N_SAMPLES, seed=section.seed)
    data = pd.DataFrame(rows.X, columns=list(rows.feature_names))
    return data.assign(**{str(section.target): rows.y})
