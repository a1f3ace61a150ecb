"""Stage `tables`: a frame becomes features, a target and three splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data import table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.ring import ring
from ftml.data.standardize import apply_scaling, learn_scaling
from pipelines.blocks import TableBlock
from pipelines.sources import frame
from pipelines.stage import prepare_dataset

N_SAMPLES = 1000
"Rows that are drawn where the block does not say."


def prepare(block: TableBlock, folder: Path) -> None:
    """Write the table of a block into a folder.

    Raises ValueError for a table with missing values, without one of its columns, or
    with a class too small to stand in every split.
    """
    if misfits := block.misfits():
        raise ValueError(f"{block.source}: {'; '.join(misfits)}")
    made = block.source.startswith("made:")
    data = _made(block) if made else frame(block.source, block.sha256)
    targets = [] if block.target is None else [block.target]
    check_columns(data, [*targets, *(block.features or [])], source=block.source)
    if block.features is not None:
        data = data[[*block.features, *targets]]
    missing = data.isna().sum()
    if missing.any():
        counts = ", ".join(f"{name} ({n})" for name, n in missing.items() if n)
        raise ValueError(f"{block.source}: values are missing in {counts}")
    X, names = encode(data.drop(columns=targets), reserved=["split", *targets])
    target = data[block.target] if targets else None
    y, classes = read_target(target, block)
    strata, called = np.zeros(len(X), np.int64), ["the table"]
    if block.task == "classification":
        strata, called = y, [f"class {name}" for name in classes]
    shares = {"valid": block.valid_fraction, "test": block.test_fraction}
    split = draw_split(strata, called, shares=shares, seed=block.seed)
    if block.scale:
        X = apply_scaling(X, learn_scaling(X[split == "train"]))
    if block.binarize is not None:
        X = np.greater(X, block.binarize).astype(np.float64)
    whole = table.Table(X, y, names, block.target or "", classes)
    table.write(folder, whole, split)


def read_target(
    target: pd.Series | None, block: TableBlock
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the target (n,) of a block's task, and the names of its classes.

    Where nothing is predicted, fractions are numbers and all else is classes. Raises
    ValueError for a prediction of numbers from anything else.
    """
    if target is None:
        return table.NO_TARGET, ()
    if block.predicts and block.task != "classification":
        if not pd.api.types.is_numeric_dtype(target):
            raise ValueError(
                f"{block.source}: {block.task} needs a number to predict, "
                f"{block.target} is {target.dtype}"
            )
        return target.to_numpy(np.float64), ()
    if not block.predicts and pd.api.types.is_float_dtype(target):
        return target.to_numpy(np.float64), ()
    return number(target)


def _made(block: TableBlock) -> pd.DataFrame:
    """Return a table that is made as a frame, its target named as the block says."""
    make = {"made:inverse_sinusoid": inverse_sinusoid, "made:ring": ring}[block.source]
    drawn = make(n_samples=block.n_samples or N_SAMPLES, seed=block.seed)
    data = pd.DataFrame(drawn.X, columns=list(drawn.feature_names))
    return data.assign(**{str(block.target): drawn.y})


def encode(
    data: pd.DataFrame, *, reserved: Iterable[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the features (n, d) float64 of a frame, and their names.

    A number stays, a boolean becomes 0 or 1, and a text column one column of 0 and 1
    for each of its values, named `column=value`. A missing value is NaN, in all columns
    of a text. Raises ValueError for a name in `reserved` or twice, an infinite value,
    and a column of any other type.
    """
    columns: dict[str, np.ndarray] = {}
    for name, column in data.items():
        for called, values in _encode_column(str(name), column).items():
            if called in columns or called in set(reserved):
                raise ValueError(
                    f"a feature cannot be named {called!r}: rename the column"
                )
            columns[called] = values
    if not columns:
        raise ValueError("no column is left to be a feature")
    if infinite := [name for name, x in columns.items() if np.isinf(x).any()]:
        raise ValueError(f"values are infinite in {', '.join(infinite)}")
    return np.column_stack(list(columns.values())), tuple(columns)


def _encode_column(name: str, column: pd.Series) -> dict[str, np.ndarray]:
    seen = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or _all_of(seen, (bool, np.bool_)):
        return {name: column.astype("Float64").to_numpy(np.float64, na_value=np.nan)}
    if not (isinstance(column.dtype, pd.CategoricalDtype) or _all_of(seen, str)):
        raise ValueError(f"column {name} is {column.dtype}; expected numbers or text")
    blank = column.isna().to_numpy()
    return {
        f"{name}={value}": np.where(
            blank, np.nan, (column == value).to_numpy(np.float64)
        )
        for value in sorted(seen.unique())
    }


def _all_of(values: pd.Series, kind: type | tuple[type, ...]) -> bool:
    return all(isinstance(value, kind) for value in values)


def number(labels: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the index (n,) of each label among the sorted ones, and their names."""
    values, index = np.unique(labels.to_numpy(), return_inverse=True)
    return index.astype(np.int64), tuple(str(value) for value in values)


def draw_split(
    strata: np.ndarray, names: Sequence[str], *, shares: Mapping[str, float], seed: int
) -> np.ndarray:
    """Return the split (n,) of each row: "train", or a name in `shares`.

    strata: (n,) indices into `names`. In each stratum every split has its share of the
    rows, rounded. Raises ValueError for a stratum that would be absent from a split.
    """
    if sum(shares.values()) >= 1:
        written = " + ".join(f"{split}_fraction" for split in shares)
        raise ValueError(f"{written} must be below 1, came {sum(shares.values()):g}")
    rng = np.random.default_rng(seed)
    drawn = np.full(len(strata), "train")
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        ends = np.cumsum([round(len(rows) * share) for share in shares.values()])
        parts = np.split(rows, ends)
        if not all(map(len, parts)):
            splits = ", ".join(["train", *shares])
            raise ValueError(
                f"{names[stratum]} has {len(rows)} rows, too few for {splits}"
            )
        for split, part in zip(shares, parts, strict=False):
            drawn[part] = split
    return drawn


def check_columns(data: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Raise ValueError for the first of the columns that the frame does not have."""
    for name in columns:
        if name not in data.columns:
            raise ValueError(
                f"{source}: no column {name!r}{nearest(name, data.columns)}"
            )


if __name__ == "__main__":
    prepare_dataset(prepare)
