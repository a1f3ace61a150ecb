"""The residuals of least squares, over n - d - 1, estimate the noise without bias.

    E[|y - yhat|^2 / (n - d - 1)] = sigma^2

Dividing by n would be too small by (d + 1) / n. The design is sampled once from the
seed, 30 x 6; sigma = 2. Each sample is the estimate of one fit, read off the family's
standard error of the intercept; their mean is compared within its standard errors.

Source: FTML lecture 9, "Ordinary least squares" (fixed design: unbiased); "Sample mean,
sample variance".
"""

from __future__ import annotations

import numpy as np

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.linear.ols import solve_ols

SIGMA = 2.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean estimate of the noise's variance over 1000 fits or more."""
    n, d = 30, 6
    X = np.random.default_rng(seed).normal(size=(n, d))
    design = np.column_stack([X, np.ones(n)])
    # The standard error of the intercept is s times the root of this.
    spread = np.linalg.inv(design.T @ design)[-1, -1]

    def estimates(rng: np.random.Generator, draws: int) -> np.ndarray:
        truth = X @ np.arange(d) + 1.0
        noise = SIGMA * rng.normal(size=(draws, n))
        errors = [solve_ols(X, truth + e).standard_errors[-1] for e in noise]
        return np.asarray(errors) ** 2 / spread

    draws = budget.draw(estimates, seed=seed, n=1000)
    return evidence_of_mean(draws, expected=SIGMA**2)
