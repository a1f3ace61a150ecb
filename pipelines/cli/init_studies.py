"""The studies that `ftml init` proposes: families and budgets by the number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ftml.core import family
from pipelines.cli.init_values import Proposed

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


def why_no_folds(n: int, counts: pd.Series | None) -> str:
    """Return why trials on n rows are not scored by cross-validation; "" if they are.

    counts: the sizes of the classes; None for regression.
    """
    if n > SMALL:
        return f"{n} rows are more than {SMALL}: trials are scored on validation rows"
    if counts is not None and counts.min() < 2 * FOLDS:
        few = f"class {counts.idxmin()} has {counts.min()} rows"
        return f"{few}; {FOLDS} folds need {2 * FOLDS}"
    return ""


def propose_studies(
    task: str, *, n: int, counts: pd.Series | None
) -> dict[str, Proposed]:
    """Return the sections of the studies, the baseline first, for n rows."""
    size = 0 if n <= SMALL else 1 if n <= MEDIUM else 2
    n_classes = 2 if counts is None else len(counts)
    folds = not why_no_folds(n, counts)
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
