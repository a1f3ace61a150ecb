"""Leaving one row out of a ridge regression needs no second fit.

    y_i - yhat_i without row i = (y_i - yhat_i) / (1 - H_ii)

with H the hat matrix of the fit on all rows, its penalty in units of the sum of
squares. The measured value is the largest relative distance of the family's mean
squared error, by this formula, from that of n fits, on the 442 rows of diabetes:
rounding.

Source: FTML lecture 9, "Cross-validation" (k folds, k = n); Golub, Heath and Wahba
1979, "Generalized cross-validation", section 2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear._ridge_scores import leave_one_out_errors
from ftml.families.linear.ridge import ridge_path

ALPHAS = np.array([1e-5, 1e-3, 1e-1])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance of the formula from n fits."""
    X, y = load_diabetes(return_X_y=True)
    n = len(y)
    squares = np.empty((n, len(ALPHAS)))
    for i in range(n):
        rows = np.arange(n) != i
        center, mean = X[rows].mean(axis=0), y[rows].mean()
        theta = ridge_path(
            X[rows] - center, y[rows] - mean, alphas=ALPHAS * n / (n - 1)
        )
        squares[i] = (y[i] - mean - theta @ (X[i] - center)) ** 2
    table = pd.DataFrame(
        {
            "lambda": ALPHAS,
            "mean squared error of n fits": squares.mean(axis=0),
            "by the formula": leave_one_out_errors(X, y, alphas=ALPHAS),
        }
    )
    ratio = table["by the formula"] / table["mean squared error of n fits"]
    return Evidence(
        expected=1.0, measured=farthest(ratio, 1.0), tolerance=1e-10, table=table
    )
