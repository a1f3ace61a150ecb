"""The target of a table: a number, or the index of a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ftml.data import table
from pipelines.common.formatting import counted
from pipelines.datasets.splits import encode_labels
from pipelines.params.arrays import TableSchema


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


def refuse_constant(target: pd.Series, section: TableSchema) -> None:
    """Raise ValueError if a target to predict has one value in all rows."""
    if not section.predicts or target.nunique() != 1:
        return
    raise ValueError(
        f"{section.source}: column {target.name} holds {_shown(target.iloc[0])} in all "
        f"{counted(len(target), 'row')}, so there is nothing to predict; set `target` "
        "to another column"
    )


def refuse_constant_training(
    y: np.ndarray, split: np.ndarray, section: TableSchema
) -> None:
    """Raise ValueError if a number to predict is the same in all training rows.

    A class that no training row has is refused with the split.
    """
    if not section.predicts or section.task == "classification":
        return
    trained = y[split == "train"]
    if trained.min() == trained.max():
        raise ValueError(
            f"{section.source}: column {section.target} holds {_shown(trained[0])} in "
            f"all {counted(len(trained), 'training row')}, so there is nothing to "
            "learn; change `split`, or set `target` to another column"
        )


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(str(value))


def positive_class(section: TableSchema, classes: Sequence[str]) -> int | None:
    """Return the index of the class that `positive` names; None if it is not given.

    A number names the class of equal value. Raises ValueError for a name that is no
    class, and unless there are two classes.
    """
    if section.positive is None:
        return None
    if len(classes) != 2:
        raise ValueError(
            f"{section.source}: positive: for two classes, the target has "
            f"{len(classes)}"
        )
    for index, name in enumerate(classes):
        if name == str(section.positive) or _same_number(name, section.positive):
            return index
    raise ValueError(
        f"{section.source}: positive: no class {str(section.positive)!r}; the classes "
        f"are {classes[0]} and {classes[1]}"
    )


def _same_number(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return float(name) == float(value)
    except ValueError:
        return False
