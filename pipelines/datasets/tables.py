"""Stage `tables`: a frame becomes features, a target and three splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.ring import ring
from ftml.data.standardize import apply_scaling, learn_scaling
from pipelines.datasets.columns import check_columns, encode_features
from pipelines.datasets.sources import frame
from pipelines.datasets.splits import draw_split, encode_labels
from pipelines.params.arrays import TableSchema

N_SAMPLES = 1000
"Rows that are drawn where the block does not say."


def prepare(section: TableSchema, folder: Path) -> None:
    """Write the table of a block into a folder.

    Raises ValueError for a table with missing values, without one of its columns, or
    with a class too small to stand in every split.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    made = section.source.startswith("made:")
    data = _made(section) if made else frame(section.source, section.sha256)
    targets = [] if section.target is None else [section.target]
    check_columns(data, [*targets, *(section.features or [])], source=section.source)
    if section.features is not None:
        data = data[[*section.features, *targets]]
    missing = data.isna().sum()
    if missing.any():
        counts = ", ".join(f"{name} ({n})" for name, n in missing.items() if n)
        raise ValueError(f"{section.source}: values are missing in {counts}")
    X, names = encode_features(data.drop(columns=targets), reserved=["split", *targets])
    target = data[section.target] if targets else None
    y, classes = read_target(target, section)
    strata, called = np.zeros(len(X), np.int64), ["the table"]
    if section.task == "classification":
        strata, called = y, [f"class {name}" for name in classes]
    shares = {"valid": section.valid_fraction, "test": section.test_fraction}
    split = draw_split(strata, called, shares=shares, seed=section.seed)
    if section.scale:
        X = apply_scaling(X, learn_scaling(X[split == "train"]))
    if section.binarize is not None:
        X = np.greater(X, section.binarize).astype(np.float64)
    whole = table.Table(X, y, names, section.target or "", classes)
    table.write(folder, whole, split)


def read_target(
    target: pd.Series | None, section: TableSchema
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the target (n,) of a block's task, and the names of its classes.

    Where nothing is predicted, fractions are numbers and all else is classes. Raises
    ValueError for a prediction of numbers from anything else.
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


def _made(section: TableSchema) -> pd.DataFrame:
    """Return a table that is made as a frame, its target named as the block says."""
    make = {"made:inverse_sinusoid": inverse_sinusoid, "made:ring": ring}[
        section.source
    ]
    drawn = make(n_samples=section.n_samples or N_SAMPLES, seed=section.seed)
    data = pd.DataFrame(drawn.X, columns=list(drawn.feature_names))
    return data.assign(**{str(section.target): drawn.y})
