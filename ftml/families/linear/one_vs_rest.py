"""One against the rest: k classes by k classifiers of two.

    member j learns 1{y = j};   p_j(x) = s_j(x) / sum_l s_l(x)

Axes: n samples, d features, k classes; s_j is member j's probability of its own class.
The normalised scores rank as the scores do; they are not fitted as a joint model,
unlike softmax regression. The members may be of any family of two classes.

Source: FTML lecture 9, "Multi-class classification" (exercise 2: k members).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear import _reduction

TASK = "classification"


class Config(_reduction.ReductionConfig):
    """The family of two classes, and its penalty."""


@dataclass(frozen=True)
class Model:
    binary: str
    "the family of the members"

    members: list[dict[str, Any]]
    "the fields of each member's model, in the order of the classes"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the normalised scores of the classes, (n, k), for X (n, d)."""
        scores = _reduction.scores(self.binary, self.members, X)
        total = scores.sum(axis=1, keepdims=True)
        # Far from every class all scores may round to 0; all classes are then equally
        # probable.
        flat = np.full_like(scores, 1.0 / scores.shape[1])
        return np.divide(scores, total, out=flat, where=total > 0)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the class of the highest score, (n,)."""
        return self.predict_proba(X).argmax(axis=1)


def against_the_rest(table: Table) -> list[Table]:
    """Return a table of two classes for each class: the rest, and itself."""
    return [
        replace(
            table, y=(table.y == j).astype(np.int64), classes=("rest", table.classes[j])
        )
        for j in range(len(table.classes))
    ]


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step of the k members; metrics are their means."""
    tables = against_the_rest(data.train)
    yield from _reduction.run(config, tables, state, Model, M=len(tables))
