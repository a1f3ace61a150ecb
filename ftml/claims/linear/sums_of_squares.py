"""TSS = ESS + RSS holds for least squares with an intercept, on its training data.

    sum (y - mean y)^2 = sum (yhat - mean y)^2 + sum (y - yhat)^2

The residual must be orthogonal to the prediction and to the constant. The notes ask for
linear predictions only (mistake 12); those without an intercept leave a gap. The
measured value is the largest gap over the tables, relative to TSS.

Source: FTML lecture 9, "Coefficient of determination", (27).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_linnerud

from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols

MISTAKES = (12,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the gap with the intercept, and without one as the notes allow."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(60, 4)) + 1.0
    tables = {
        "diabetes": load_diabetes(return_X_y=True),
        "linnerud": (load_linnerud().data, load_linnerud().target[:, 0]),
        "random": (drawn, drawn @ [1.0, -2.0, 0.5, 0.0] + 5.0 + rng.normal(size=60)),
    }
    rows = []
    for name, (X, y) in tables.items():
        without = X @ np.linalg.lstsq(X, y)[0]
        fitted = solve_ols(X, y).predict(X)
        rows.append((name, gap(y, fitted), gap(y, without)))
    table = pd.DataFrame(rows, columns=["table", "with intercept", "without"])
    return Evidence(
        expected=0.0,
        measured=table["with intercept"].max(),
        tolerance=1e-12,
        value_in_source=table["without"].max(),
        table=table,
    )


def gap(y: np.ndarray, fitted: np.ndarray) -> float:
    """Return |TSS - ESS - RSS| / TSS for y and predictions (n,)."""
    total = np.sum((y - y.mean()) ** 2)
    explained = np.sum((fitted - y.mean()) ** 2)
    return float(abs(total - explained - np.sum((y - fitted) ** 2)) / total)
