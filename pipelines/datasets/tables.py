"""Stage `tables`: turns a data frame into features, a target and three splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.reading import missing_message
from ftml.data.ring import ring
from ftml.data.standardize import apply_scaling, learn_scaling
from pipelines.datasets.columns import check_columns, encode_features
from pipelines.datasets.sources import frame
from pipelines.datasets.splits import draw_split, encode_labels
from pipelines.params.arrays import TableSchema

N_SAMPLES = 1000
"Rows of a generated table when the section gives no `n_samples`."


def prepare(section: TableSchema, folder: Path) -> None:
    """Write the table that a section describes into a folder.

    Raises ValueError for a table with missing values, for a column that the table does
    not have, and for a class with too few rows for every split to get one.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    generated = section.source.startswith("made:")
    targets = [] if section.target is None else [section.target]
    used = None if section.features is None else [*section.features, *targets]
    data = (
        _generate(section)
        if generated
        else frame(section.source, section.sha256, section.read, columns=used)
    )
    check_columns(data, [*targets, *(section.features or [])], source=section.source)
    if section.features is not None:
        data = data[[*section.features, *targets]]
    missing = data.isna().sum()
    if missing.any():
        counts = ", ".join(
            missing_message(data, str(name)) for name, n in missing.items() if n
        )
        raise ValueError(f"{section.source}: values are missing in {counts}")
    X, names = encode_features(data.drop(columns=targets), reserved=["split", *targets])
    target = data[section.target] if targets else None
    y, classes = read_target(target, section)
    strata, called = np.zeros(len(X), np.int64), ["the table"]
    if section.task == "classification":
        strata, called = y, [f"class {name}" for name in classes]
    fractions = {"valid": section.valid_fraction, "test": section.test_fraction}
    split = draw_split(strata, called, fractions=fractions, seed=section.seed)
    if section.scale:
        X = apply_scaling(X, learn_scaling(X[split == "train"]))
    if section.binarize is not None:
        X = np.greater(X, section.binarize).astype(np.float64)
    whole = table.Table(X, y, names, section.target or "", classes)
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
