"""The sum or the integral of what a model says are probabilities: 1 for each.

Axes: n rows, k classes, V symbols.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ftml.data import Splits
from ftml.data.ragged import of_sequences
from tests.contract.run import Run

EXACT = 1e-5
"Tolerance of sums of probabilities in float32."
NUMERIC = 0.02
"Tolerance of integrals by the trapezoidal rule."


def total_masses(run: Run) -> tuple[np.ndarray, float] | None:
    """Return sums that should be 1 and their tolerance; None if there are none.

    Densities are integrated over one column only.
    """
    task_name, model, data = run.kind.task, run.model, run.data
    if task_name in ("classification", "domain_generalization"):
        proba = np.asarray(run.answers)
        assert (proba >= 0).all(), "a probability is negative"
        return proba.sum(axis=1), EXACT
    if task_name == "language_model":
        return _next_symbols(model, data.test.X), EXACT
    if task_name == "binary_density" and data.train.X.shape[1] <= 8:
        d = data.train.X.shape[1]
        every = np.array(list(itertools.product((0.0, 1.0), repeat=d)))
        error = getattr(model, "log_z_error", 0.0)
        return np.exp(model.log_density(every)).sum(keepdims=True), EXACT + 5 * error
    if task_name == "density" and data.train.X.shape[1] == 1:
        return _integral(model, data.train.X[:, 0])
    if task_name == "conditional_density":
        return _conditional(model, data), NUMERIC
    return None


def _next_symbols(model: Any, X: Any) -> np.ndarray:
    """Return the sum over all next symbols and the end, after some beginnings."""
    V, totals = len(X.vocabulary), []
    for i in range(min(2, len(X))):
        start = X[i][:2]
        longer = [np.append(start, v) for v in range(V)]
        log_prob = model.log_prob(of_sequences([start, *longer], X.vocabulary))
        m = len(start)
        next_ones = log_prob[m + 1 :].reshape(V, m + 2)[:, m]
        totals.append(np.exp(log_prob[m]) + np.exp(next_ones).sum())
    return np.array(totals)


def _grid(centres: np.ndarray, spread: float) -> np.ndarray:
    """Return points that are dense around the centres and reach far beyond."""
    steps = np.geomspace(1e-5, 100.0, 300) * spread
    around = (centres[:, None] + np.concatenate([-steps, [0.0], steps])).ravel()
    return np.unique(around)


def _integral(model: Any, x: np.ndarray) -> tuple[np.ndarray, float]:
    spread = float(np.ptp(x)) or max(abs(float(x[0])), 1.0)
    grid = _grid(x[:40], spread)
    total = np.trapezoid(np.exp(model.log_density(grid[:, None])), grid)
    # A constant that is learnt may leave a mass below 1, which the model states.
    total /= np.exp(min(0.0, getattr(model, "log_mass", 0.0)))
    error = getattr(model, "log_z_error", 0.0)
    return np.atleast_1d(total), NUMERIC + 5 * error


def _conditional(model: Any, data: Splits) -> np.ndarray:
    y = data.train.y
    X = data.test.X[:2]
    centres = np.concatenate([y[:20], model.predict(X)])
    grid = _grid(np.unique(centres), float(np.ptp(y)) or 1.0)
    return np.array(
        [
            np.trapezoid(
                np.exp(model.log_density(np.repeat(row[None], len(grid), 0), grid)),
                grid,
            )
            for row in X
        ]
    )
