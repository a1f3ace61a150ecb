"""A part of a normal vector, given the rest, is normal with the mean of a regression.

    a_2 | a_1 = z:   mean u_2 + S_21 S_11^-1 (z - u_1),   cov S_22 - S_21 S_11^-1 S_12

The mean is what least squares on an endless sample would predict: with the n rows z_i
and targets made so that their covariance is S to the last digit, the project's least
squares must have these coefficients, and its residuals this variance. The measured
value is the largest relative distance from both; only rounding is tolerated. The
covariance is generated from the seed.

Source: Deep learning cheat sheet, "1 Probability" (conditional of a multivariate
normal); FTML lecture 9, "Ordinary least squares".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance of least squares from the formulas."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    S, u = root @ root.T, rng.normal(size=4)
    drawn = rng.normal(size=(50, 4))
    drawn -= drawn.mean(axis=0)
    white = np.linalg.qr(drawn)[0] * np.sqrt(50)  # mean 0, covariance I, exactly
    a = u + white @ root.T
    model = solve_ols(a[:, :3], a[:, 3])
    slopes = np.linalg.solve(S[:3, :3], S[:3, 3])
    left = S[3, 3] - S[3, :3] @ slopes
    residual = a[:, 3] - model.predict(a[:, :3])
    table = pd.DataFrame(
        {
            "quantity": [*(f"slope {j + 1}" for j in range(3)), "mean", "variance"],
            "formula": [*slopes, u[3] - slopes @ u[:3], left],
            "least squares": [*model.theta, np.mean(residual**2)],
        }
    )
    ratio = table["least squares"] / table["formula"]
    return Evidence(
        expected=1.0, measured=farthest(ratio, 1.0), tolerance=1e-9, table=table
    )
