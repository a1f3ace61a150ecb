"""Data that the tests of the solvers share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

import ftml
from ftml import Splits, Table
from ftml.families.optimization._finite_sum import FiniteSum, make_sum, newton_step


def overlapping(n: int = 40, d: int = 3) -> Splits[Table]:
    """Return two classes that overlap, in correlated columns."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 0.7 * y[:, None]
    return Splits(Table(X, y, classes=("no", "yes")))


SHAPES = [(9, 3), (6, 11)]
"Rows and columns of the tests of single steps: more rows, and more columns."


def breast_cancer() -> Splits[Table]:
    X, y = load_breast_cancer(return_X_y=True)
    return Splits(Table(X, y, classes=("malignant", "benign")))


def gaps(name: str, data: Splits[Table], count: int, **config: Any) -> np.ndarray:
    """Return the gap after each of the first passes; 0 after one of 0 ended them."""
    kind = ftml.family(name)
    settings = {"n_passes": count, "tolerance": 0.0, **config}
    run = kind.train(kind.Config(**settings), data, None)
    found = [step.metrics["train_gap"] for step in itertools.islice(run, count)]
    return np.array(found + [0.0] * (count - len(found)))


def problem(data: Splits[Table], mu: float) -> tuple[FiniteSum, np.ndarray]:
    """Return the finite sum and its optimum, by Newton's method."""
    g = make_sum(data.train, mu=mu)
    theta = np.zeros(g.X.shape[1])
    for _ in range(30):
        theta = newton_step(g, theta)
    return g, theta
