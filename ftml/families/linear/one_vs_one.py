"""One against one: k classes by k (k - 1) / 2 classifiers of two.

    member (i, j), i < j, learns j against i on the rows of both alone
    p_j(x) = (2 / (k (k - 1))) sum_{i != j} P(j rather than i | x)

Axes: n samples, d features, k classes. The vote of a member is its probability, so that
votes do not tie, and p sums to one. The members may be of any family of two classes.

Source: FTML lecture 9, "Multi-class classification" (exercise 2: their number).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
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
    "the fields of each one's model, for the pairs (0, 1), (0, 2), ..., (k - 2, k - 1)"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the fraction of votes of the classes, (n, k), for X (n, d)."""
        k = number_of_classes(len(self.members))
        scores = _reduction.scores(self.binary, self.members, X)
        votes = np.zeros((len(X), k))
        for (i, j), score in zip(combinations(range(k), 2), scores.T, strict=True):
            votes[:, i] += 1.0 - score
            votes[:, j] += score
        return votes / len(self.members)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the class of most votes, (n,)."""
        return self.predict_proba(X).argmax(axis=1)


def number_of_classes(members: int) -> int:
    """Return the k of which there are k (k - 1) / 2 pairs."""
    return round((1 + np.sqrt(1 + 8 * members)) / 2)


def pairs(table: Table) -> list[Table]:
    """Return a table of two classes for each pair of classes.

    Raises ValueError where both classes of a pair have no rows.
    """
    return list(_pairs(table))


def _pairs(table: Table) -> Iterator[Table]:
    """Yield the tables one by one, because together they are k - 1 copies of X.

    Raises ValueError where both classes of a pair have no rows.
    """
    for i, j in combinations(range(len(table.classes)), 2):
        yield _pair(table, i, j)


def _pair(table: Table, i: int, j: int) -> Table:
    rows = table.rows((table.y == i) | (table.y == j))
    names = (table.classes[i], table.classes[j])
    if not len(rows):
        raise ValueError(f"the classes {names[0]} and {names[1]} have no rows")
    return replace(rows, y=(rows.y == j).astype(np.int64), classes=names)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step of the members; metrics are their means.

    Raises ValueError for fewer than two classes.
    """
    if len(data.train.classes) < 2:
        names = ", ".join(data.train.classes)
        raise ValueError(f"one_vs_one expects 2 classes or more, got {names} only")
    M = len(list(combinations(data.train.classes, 2)))
    yield from _reduction.run(config, _pairs(data.train), state, Model, M=M)
