"""What `ftml init` proposes for a table: task, metric, columns, splits and studies.

Nothing is written here. Each value of a `Proposal` has the sentence that explains it in
params.yaml. The rules only propose: the person who reads params.yaml decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ftml.config import nearest
from pipelines.cli.init_columns import (
    columns_to_drop,
    is_useless_target,
    propose_groups,
    propose_missing,
    propose_time,
)
from pipelines.cli.init_studies import propose_studies, why_no_folds
from pipelines.cli.init_values import Proposed, kind_of
from pipelines.datasets.plausibility import numbers_to_predict

TASKS = ("regression", "classification")
TARGETS = ("target", "label", "class", "y", "outcome")
"Names of a column that is the target without a word of the user."

RARE = 0.2
"Fraction of the rows below which the smaller of two classes is rare."


@dataclass(frozen=True)
class Proposal:
    """What params.yaml says about a table."""

    target: Proposed
    task: Proposed
    metric: Proposed
    positive: Proposed | None
    missing_target: Proposed | None
    drop: Mapping[str, str]
    "why a column is left out, by column"

    missing: Mapping[str, Proposed]
    "what a missing value becomes, by column"

    time: Proposed | None
    "the column by which rows are split in the order of time"

    ordered: Proposed | None
    "a column by which the rows are sorted, but which may not be a time"

    groups: Proposed | None
    "a column of groups by which rows may have to be split"

    studies: Mapping[str, Proposed]
    "the sections of the studies, the baseline first"

    no_folds: str = ""
    "why no study has `cv`; empty if the studies have it"

    remarks: Sequence[str] = field(default=())
    "what else the person should know"


def propose(data: pd.DataFrame, *, target: str, task: str | None) -> Proposal:
    """Return what is proposed for a table with this column to predict.

    Raises ValueError for a target that is of no use.
    """
    y = data[target].dropna()
    chosen = propose_task(y, task)
    drop = columns_to_drop(data.drop(columns=target), data[target], chosen.value)
    features = data.drop(columns=[target, *drop])
    if not len(features.columns):
        listed = "; ".join(f"{name} {why}" for name, why in drop.items())
        raise ValueError(f"no column is left to be a feature: {listed}")
    time, ordered = propose_time(features)
    if time:
        features = features.drop(columns=time.value)
    counts = y.value_counts() if chosen.value == "classification" else None
    n_blank = int(data[target].isna().sum())
    return Proposal(
        target=Proposed(target, f"the column to predict: {kind_of(data[target])}"),
        task=chosen,
        metric=propose_metric(counts),
        positive=propose_positive(counts),
        missing_target=Proposed(
            "drop",
            f"1 row has no {target}; it is left out"
            if n_blank == 1
            else f"{n_blank} rows have no {target}; they are left out",
        )
        if n_blank
        else None,
        drop=drop,
        missing=propose_missing(features),
        time=time,
        ordered=ordered,
        groups=propose_groups(data.drop(columns=target)),
        studies=propose_studies(chosen.value, n=len(y), counts=counts),
        no_folds=why_no_folds(len(y), counts),
        remarks=_remarks(features),
    )


def choose_target(data: pd.DataFrame, target: str | None) -> str:
    """Return the column to predict: the given one, or the only one that has a usual
    name.

    Raises ValueError, which lists the columns, if it is not clear.
    """
    names = [str(name) for name in data.columns]
    if target is not None:
        if target not in names:
            known = nearest(target, names)
            close = known if known.startswith("; nearest") else ""
            raise ValueError(
                f"no column {target!r}{close}; the columns are {listing(data)}"
            )
        return target
    usual = [name for name in names if name.lower() in TARGETS]
    if len(usual) == 1:
        return usual[0]
    useless = [name for name in names if is_useless_target(name, data[name])]
    others = ""
    if 0 < len(useless) < len(names):
        data = data.drop(columns=useless)
        what = "dates, identifiers, free text or one value only"
        others = f"; not {', '.join(useless)} ({what})"
    raise ValueError(
        "the column to predict is not certain: give --target, one of "
        f"{listing(data)}{others}"
    )


def listing(data: pd.DataFrame) -> str:
    """Return the columns of a table with their kinds, as one text."""
    return ", ".join(f"{name} ({kind_of(column)})" for name, column in data.items())


def propose_task(y: pd.Series, task: str | None) -> Proposed:
    """Return the task for a target without missing values."""
    if y.nunique() < 2:
        raise ValueError(
            f"column {y.name} holds {kind_of(y)}, so there is nothing to predict"
        )
    is_number = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    if task is not None:
        if task not in TASKS:
            raise ValueError(f"--task: expected {' or '.join(TASKS)}, got {task!r}")
        if task == "regression" and not is_number:
            raise ValueError(
                f"--task: regression needs numbers, column {y.name} holds {kind_of(y)}"
            )
        return Proposed(task, "as asked for by --task")
    if pd.api.types.is_datetime64_any_dtype(y):
        raise ValueError(
            f"column {y.name} holds dates; expected numbers or classes to predict"
        )
    if not is_number:
        return Proposed("classification", f"{y.name} holds {kind_of(y)}, its classes")
    if what := numbers_to_predict(y):
        return Proposed("regression", f"{y.name} has {y.nunique()} different {what}")
    return Proposed(
        "classification",
        f"{y.name} has only {y.nunique()} different numbers; regression predicts a "
        "number",
    )


def propose_metric(counts: pd.Series | None) -> Proposed:
    """Return the metric for the sizes of the classes; None for regression."""
    if counts is None:
        return Proposed("mse", "mean squared error; mae and r2 are others")
    smallest = counts.min() / counts.sum()
    if len(counts) == 2 and smallest < RARE:
        return Proposed("auc", f"only {smallest:.0%} of the rows are {counts.idxmin()}")
    if counts.max() / counts.sum() > 1 - RARE:
        return Proposed("macro_f1", f"most rows are of the class {counts.idxmax()}")
    return Proposed("accuracy", "log_loss, macro_f1 and auc are others")


def propose_positive(counts: pd.Series | None) -> Proposed | None:
    """Return the positive class of two: the rare one, or the last in sorted order."""
    if counts is None or len(counts) != 2:
        return None
    rare = counts.min() / counts.sum() < RARE
    value = counts.idxmin() if rare else sorted(counts.index)[-1]
    value = value.item() if isinstance(value, np.generic) else value
    about = "the class that auc, precision, recall and f1 are about"
    return Proposed(value, about)


def _remarks(features: pd.DataFrame) -> list[str]:
    same = [str(n) for n, each in features.items() if each.nunique() == 1]
    return (
        [f"constant columns, which no model can use: {', '.join(same)}"] if same else []
    )
