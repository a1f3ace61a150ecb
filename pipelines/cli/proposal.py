"""What `ftml init` proposes for a table: task, metric, columns, splits and studies.

Nothing is written here. Each value of a `Proposal` has the sentence that explains it in
params.yaml. The rules only propose: the person who reads params.yaml decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ftml.core import family
from ftml.data.columns import describe
from pipelines.common import formatting
from pipelines.datasets.plausibility import (
    numbers_to_predict,
    ordered_columns,
    time_column,
)

TASKS = ("regression", "classification")
TARGETS = ("target", "label", "class", "y", "outcome")
"Names of a column that is the target without a word of the user."

IDENTIFIER = re.compile(
    r"(.*[\W_])?(?i:id|ids|no|nr|num|index|idx|key|uuid|guid|rownames?|row)|"
    r"(?i:id|index|row)[\W_].*|.*[a-z](Id|ID)|Unnamed: \d+"
)
TIME = re.compile(
    r"(.*[\W_])?(time|date|day|week|month|quarter|year|hour|minute|timestamp|ts|t)",
    re.IGNORECASE,
)
RARE = 0.2
"Fraction of the rows below which the smaller of two classes is rare."
MANY_MISSING = 0.2
"Fraction of missing values from which their absence becomes a feature."
FEW_CLASSES = 20


@dataclass(frozen=True)
class Proposed:
    """A value of params.yaml, and the sentence that explains it."""

    value: Any
    about: str


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
            "drop", f"{n_blank} rows have no {target}; they are left out"
        )
        if n_blank
        else None,
        drop=drop,
        missing=propose_missing(features),
        time=time,
        ordered=ordered,
        groups=propose_groups(data.drop(columns=target)),
        studies=propose_studies(chosen.value, n=len(y), counts=counts),
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
            raise ValueError(f"no column {target!r}; the columns are {listing(data)}")
        return target
    usual = [name for name in names if name.lower() in TARGETS]
    if len(usual) == 1:
        return usual[0]
    raise ValueError(
        f"the column to predict is not certain: give --target, one of {listing(data)}"
    )


def listing(data: pd.DataFrame) -> str:
    """Return the columns of a table with their kinds, as one text."""
    return ", ".join(f"{name} ({kind_of(column)})" for name, column in data.items())


def kind_of(column: pd.Series) -> str:
    """Return what a column holds: `numbers`, `dates`, `true or false`, `7 texts`."""
    if pd.api.types.is_bool_dtype(column.dropna()):
        return "true or false"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "dates"
    n = column.nunique()
    numeric = pd.api.types.is_numeric_dtype(column)
    if numeric and n > FEW_CLASSES:
        return "numbers"
    return formatting.counted(n, "different number" if numeric else "different text")


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


def columns_to_drop(
    features: pd.DataFrame, target: pd.Series, task: str
) -> dict[str, str]:
    """Return why a column should be no feature, by column."""
    found = {}
    for name, column in features.items():
        if why := _why_to_drop(str(name), column, target, task):
            found[str(name)] = why
    return found


def _why_to_drop(name: str, column: pd.Series, target: pd.Series, task: str) -> str:
    seen = column.dropna()
    if not len(seen):
        return "has no value"
    is_id = IDENTIFIER.fullmatch(name) and not _has_fractions(seen)
    if is_id and seen.nunique() == len(seen) > FEW_CLASSES:
        return "has a different value in each row: an identifier"
    try:
        describe(pd.DataFrame({name: column}))
    except ValueError as error:
        return str(error).removeprefix(f"column {name}: ").partition(". List")[0]
    if task == "classification" and _says_the_same(column, target):
        return f"has one value for each class of {target.name}: it says the answer"
    return ""


def _has_fractions(values: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(values) and bool((values % 1 != 0).any())


def propose_groups(data: pd.DataFrame) -> Proposed | None:
    """Return the first column that, by its name, identifies what several rows share."""
    for name, column in data.items():
        n = column.nunique()
        is_id = IDENTIFIER.fullmatch(str(name)) and not _has_fractions(column.dropna())
        if is_id and 1 < n < len(column):
            about = f"{n} groups; write this if rows of one depend on each other"
            return Proposed(str(name), about)
    return None


def _says_the_same(column: pd.Series, target: pd.Series) -> bool:
    """Return whether each value of a column belongs to one class, and each class to one
    value.
    """
    both = pd.DataFrame({"x": column, "y": target}).dropna()
    n = both["y"].nunique()
    if not 2 <= n <= FEW_CLASSES or both["x"].nunique() != n:
        return False
    return len(both) > FEW_CLASSES and len(both.drop_duplicates()) == n


def propose_time(features: pd.DataFrame) -> tuple[Proposed | None, Proposed | None]:
    """Return the column of time by which rows should be split, or else a column by
    which they are sorted and that may be a time.
    """
    ordered = [n for n in ordered_columns(features) if not features[n].isna().any()]
    if not ordered:
        return None, None
    name = time_column(features, ordered)
    is_date = not pd.api.types.is_numeric_dtype(features[name])
    about = f"the rows are in the order of {name}"
    if is_date or TIME.fullmatch(name):
        return Proposed(name, f"{about}, so the last ones are the test split"), None
    return None, Proposed(name, about)


def propose_missing(features: pd.DataFrame) -> dict[str, Proposed]:
    """Return what a missing value becomes, for each column that has missing values."""
    found = {}
    for name, column in features.items():
        n = int(column.isna().sum())
        if not n:
            continue
        about = f"{n} of {len(column)} rows have no value"
        dates = pd.api.types.is_datetime64_any_dtype(column)
        numbers = pd.api.types.is_numeric_dtype(column) or dates
        strategy = "median" if numbers else "most_frequent"
        if n > MANY_MISSING * len(column) and not dates:
            strategy = "indicator"
        found[str(name)] = Proposed(strategy, about)
    return found


def _remarks(features: pd.DataFrame) -> list[str]:
    same = [str(n) for n, each in features.items() if each.nunique() == 1]
    return [f"one value only, so of no use: {', '.join(same)}"] if same else []


# Studies

SMALL, MEDIUM = 2_000, 50_000
"Rows up to which trials are scored by cross-validation, and up to which all are cheap."
KERNEL_ROWS = 3_000
"Rows up to which a kernel matrix is small."
FOLDS = 5


@dataclass(frozen=True)
class Candidate:
    """A study that may be proposed: budget for tables of up to SMALL, up to MEDIUM, and
    more rows; 0 trials leave it out. `settings` are further keys of its section.
    """

    name: str
    about: str
    trials: tuple[int, int, int]
    family: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_classes: tuple[int, int] = (2, 10**9)
    most_rows: int = 10**12


CANDIDATES = (
    Candidate("ols", "linear, without a penalty", (1, 1, 1)),
    Candidate("ridge", "linear, with a penalty", (20, 12, 6)),
    Candidate("kernel_ridge", "smooth curves", (16, 8, 0), most_rows=KERNEL_ROWS),
    Candidate(
        "polynomial",
        "products of two and three features",
        (12, 6, 0),
        family="kernel_ridge",
        settings={"config": {"kernel": "polynomial"}, "search": {"width": None}},
        most_rows=KERNEL_ROWS,
    ),
    Candidate(
        "logistic_regression", "linear, two classes", (12, 8, 4), n_classes=(2, 2)
    ),
    Candidate("softmax_regression", "linear", (12, 8, 4), n_classes=(3, 10**9)),
    Candidate("decision_tree", "one tree, easy to read", (8, 8, 4)),
    Candidate("random_forest", "many trees, usually a strong choice", (8, 6, 3)),
    Candidate("adaboost", "boosted trees", (6, 4, 0)),
    Candidate("mlp", "a neural network", (8, 6, 4)),
)


def propose_studies(
    task: str, *, n: int, counts: pd.Series | None
) -> dict[str, Proposed]:
    """Return the sections of the studies, the baseline first, for n rows."""
    size = 0 if n <= SMALL else 1 if n <= MEDIUM else 2
    n_classes = 2 if counts is None else len(counts)
    folds = size == 0 and (counts is None or counts.min() >= 2 * FOLDS)
    found = {}
    for each in CANDIDATES:
        fits = each.n_classes[0] <= n_classes <= each.n_classes[1]
        serves = family(each.family or each.name).task == task
        if not (serves and fits and each.trials[size] and n <= each.most_rows):
            continue
        section: dict[str, Any] = {"family": each.family} if each.family else {}
        if each.trials[size] > 1:
            section["trials"] = each.trials[size]
        if folds:
            section["cv"] = FOLDS
        section["seeds"] = (5, 5, 3)[size]
        found[each.name] = Proposed(section | dict(each.settings), each.about)
    return found
