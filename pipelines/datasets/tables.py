"""Stage `tables`: turns a data frame into typed columns, a target and three splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.ring import ring
from pipelines.datasets.columns import (
    choose_columns,
    drop_rows_without,
    encode_columns,
    preprocessing_of,
    read_columns,
)
from pipelines.datasets.plausibility import note_order_of_rows, note_target
from pipelines.datasets.splits import encode_labels
from pipelines.datasets.table_splits import (
    columns_of_split,
    grouping,
    positive_class,
    split_rows,
    with_test_rows,
)
from pipelines.params.arrays import TableSchema

N_SAMPLES = 1000
"Rows of a generated table when the section gives no `n_samples`."


def prepare(section: TableSchema, folder: Path) -> None:
    """Write the table that a section describes into a folder.

    Raises ValueError for a column that the table does not have or that cannot be a
    feature, for missing values without a rule for them, and for a class with too few
    rows for every split to get one.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    generated = section.source.startswith("made:")
    targets = [] if section.target is None else [section.target]
    others = [*targets, *columns_of_split(section)]
    data = _generate(section) if generated else read_columns(section, others=others)
    features = choose_columns(data, section, others=others).columns
    preprocessing = preprocessing_of(data, section)
    note_order_of_rows(data, section)
    data, n_test = with_test_rows(drop_rows_without(data, targets, section), section)
    X, columns = encode_columns(data[features], section)
    target = data[section.target] if targets else None
    if target is not None:
        note_target(target, section)
    y, classes = read_target(target, section)
    strata, called = np.zeros(len(X), np.int64), ["the table"]
    if section.task == "classification":
        strata, called = y, [f"class {name}" for name in classes]
    split = split_rows(data, section, strata=strata, names=called, n_test=n_test)
    grouped = grouping(data, section, n_test=n_test)
    whole = table.RawTable(
        X,
        y,
        tuple(column.name for column in columns),
        section.target or "",
        classes,
        positive=positive_class(section, classes),
        columns=columns,
        preprocessing=preprocessing,
        groups=grouped.get("groups", table.NO_GROUPS),
        time=grouped.get("time", table.NO_TIME),
    )
    table.write(folder, whole, split)


def read_target(
    target: pd.Series | None, section: TableSchema
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the target (n,) for a section's task, and the names of its classes.

    If the task does not predict the target, a column of floating-point numbers is kept
    as numbers, and any other column holds classes. Raises ValueError for a task that
    predicts a number if the target is not numeric.
    """
    if target is None:
        return table.NO_TARGET, ()
    if section.predicts and section.task != "classification":
        if not pd.api.types.is_numeric_dtype(target):
            raise ValueError(
                f"{section.source}: {section.task} needs a number to predict, "
                f"{section.target} is {target.dtype}"
            )
        return target.to_numpy(np.float64), ()
    if not section.predicts and pd.api.types.is_float_dtype(target):
        return target.to_numpy(np.float64), ()
    return encode_labels(target)


def _generate(section: TableSchema) -> pd.DataFrame:
    """Return a generated table as a frame, its target named as in the section."""
    generate = {"made:inverse_sinusoid": inverse_sinusoid, "made:ring": ring}[
        section.source
    ]
    rows = generate(n_samples=section.n_samples or N_SAMPLES, seed=section.seed)
    data = pd.DataFrame(rows.X, columns=list(rows.feature_names))
    return data.assign(**{str(section.target): rows.y})
