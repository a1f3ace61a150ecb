"""The gradient of the logistic objective is Lipschitz with L = lambda_max(X'X)/4n + mu.

    |grad g(a) - grad g(b)| <= L |a - b|,   and no smaller L will do

The curvature of log(1 + e^-z) is at most 1/4, at z = 0. The measured value is the
largest ratio of the two sides over random pairs of points and over a step of 1e-4 from
zero in the steepest direction, in L: 1 from below, reached to the square of the step.
Each L_i = |x_i|^2 / 4 + mu is met likewise, otherwise the measured value is NaN. Rows
and pairs are generated from the seed; the statement holds for all of them.

Source: FTML lecture 9, "Lipshitz continuity", "Smoothness" (lemma 5).
"""

from __future__ import annotations

import numpy as np

from ftml.claims.optimization._sums import overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import FiniteSum, gradient, make_sum

MU, STEP = 0.01, 1e-4


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest slope of the gradient, in L."""
    g = make_sum(overlapping(seed), mu=MU)
    d = g.X.shape[1]
    rng = np.random.default_rng(seed)
    steepest = np.linalg.eigh(g.X.T @ g.X)[1][:, -1]
    slopes = [slope(g, *rng.normal(size=(2, d))) for _ in range(200)]
    slopes.append(slope(g, STEP * steepest, np.zeros(d)))
    of_each = [
        slope(single(g, i), STEP * g.X[i] / np.linalg.norm(g.X[i]), np.zeros(d))
        for i in range(len(g.y))
    ]
    met = np.allclose(of_each, g.smoothness_of_each, rtol=1e-6)
    return Evidence(
        expected=1.0,
        measured=max(slopes) / g.smoothness if met else float("nan"),
        tolerance=1e-6,
    )


def slope(g: FiniteSum, a: np.ndarray, b: np.ndarray) -> float:
    """Return |grad g(a) - grad g(b)| / |a - b|."""
    difference = gradient(g, a) - gradient(g, b)
    return float(np.linalg.norm(difference) / np.linalg.norm(a - b))


def single(g: FiniteSum, i: int) -> FiniteSum:
    """Return the sum that has the loss of sample i alone."""
    part = slice(i, i + 1)
    return FiniteSum(
        g.X[part], g.y[part], g.mu, g.scaling, g.smoothness, g.smoothness_of_each[part]
    )
