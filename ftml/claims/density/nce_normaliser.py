"""By classifying data against noise, an unnormalised density learns its normaliser.

    P(row | x) = sigmoid(log p~(x) + c - log p_noise(x) - log nu),   c -> -log Z

c is one more parameter of a logistic regression. A Gaussian is fitted to 4,000 random
samples and ten times as many of noise, with next to no penalty. The measured value is
log Z + c, Z the integral of the fitted exp(e), which is known for a Gaussian. It is 0
up to chance: its variance is at most that of the inverse Hessian of the loss, and it is
compared within 5.5 standard errors so bounded, a probability of 4e-8.

Source: Deep learning cheat sheet, section 19.1, noise contrastive estimation.
"""

from __future__ import annotations

import numpy as np

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import CHANCE, STANDARD_ERRORS, Budget, Evidence
from ftml.families.density import nce
from ftml.families.density._energy import (
    Bumps,
    gaussian_log_z,
    split_coefficients,
    whitened_rows,
)

ROWS, D = 4000, 2
EPS = 1e-5


def check(seed: int, budget: Budget) -> Evidence:
    """Return how far the learnt constant is from -log Z, in nats."""
    rng = np.random.default_rng(seed)
    n = ROWS * budget.factor
    X = rng.normal(size=(n, D)) @ np.array([[1.5, 0.0], [0.7, 0.4]]) - 1.0
    config = nce.Config(seed=seed, n_bumps=0, penalty=1e-8)
    step = fit(config, Table(X))
    known = gaussian_log_z(step.model.precision, step.model.slope)
    error = standard_error(config, X, step.state["theta"])
    return Evidence(
        expected=0.0,
        measured=known - step.model.log_z,
        tolerance=STANDARD_ERRORS * error,
        standard_error=error,
        chance=CHANCE,
    )


def standard_error(config: nce.Config, X: np.ndarray, theta: np.ndarray) -> float:
    """Return the standard error of log Z + c, by the Hessian of the loss."""
    y, _, _ = whitened_rows(Table(X))
    problem = nce.make_problem(config, y, Bumps(np.zeros((0, D)), 1.0))
    _, hessian = nce.derivatives(problem, theta)
    moves = EPS * np.eye(len(theta))
    slope = np.array([(mass(theta + m) - mass(theta - m)) / (2 * EPS) for m in moves])
    return float(np.sqrt(slope @ np.linalg.solve(hessian, slope) / len(X)))


def mass(theta: np.ndarray) -> float:
    """Return log Z + c at coefficients theta, c last."""
    precision, slope, _ = split_coefficients(theta[:-1], D)
    return gaussian_log_z(precision, slope) + float(theta[-1])
