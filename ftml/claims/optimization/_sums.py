"""Finite sums of logistic losses whose curvature is known, for rates of solvers.

Axes: n samples, d coefficients, the intercept among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ftml.core import Step, family
from ftml.data import Splits, Table
from ftml.families.optimization._finite_sum import FiniteSum, newton_step


def overlapping(seed: int, *, n: int = 40, d: int = 3) -> Table:
    """Return two classes that overlap, in correlated columns."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 0.7 * y[:, None]
    return Table(X, y, classes=("no", "yes"))


def undecided(seed: int, *, n: int = 40, d: int = 3) -> Table:
    """Return rows that come once with each label: zero is the optimum.

    There every loss is as curved as it can be, 1/4, so that the Hessian is X'X / (4n) +
    mu I and its largest eigenvalue L itself.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n // 2, d)) @ rng.normal(size=(d, d))
    y = np.repeat(np.arange(2), n // 2)
    return Table(np.vstack([X, X]), y, classes=("no", "yes"))


def optimum(g: FiniteSum) -> np.ndarray:
    """Return the minimiser of g, (d,), to rounding."""
    theta = np.zeros(g.X.shape[1])
    for _ in range(30):
        theta = newton_step(g, theta)
    return theta


def steps(name: str, table: Table, *, count: int, **config: Any) -> Iterator[Step]:
    """Yield the first passes of a solver, none of which is taken for the last."""
    solver = family(name)
    settings = {"n_passes": count, "tolerance": 0.0, **config}
    run = solver.train(solver.Config(**settings), Splits(table), None)
    yield from itertools.islice(run, count)


def gaps(name: str, table: Table, *, count: int, **config: Any) -> np.ndarray:
    """Return g(theta) - g* after each pass, (count,), 0 after one of 0 ended them."""
    run = steps(name, table, count=count, **config)
    found = [step.metrics["train_gap"] for step in run]
    return np.array(found + [0.0] * (count - len(found)))
