"""With more features than samples least squares has a solution: the shortest one.

    theta = X^+ y = X' (X X')^-1 y   fits y exactly and is the shortest that does

There are many solutions, not none, as the notes have it (mistake 10). The measured
value is the relative distance of the families' theta (least squares, and ridge at
lambda = 0) from the shortest solution, found with Lagrange multipliers: rounding, at a
condition number below 1e3. The value in the source is the distance of (X'X)^-1 X'y,
whose inverse does not exist. The data are generated from the seed.

Source: FTML lecture 9, "Ridge regression" ("no closed form solution if d > n").
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols
from ftml.families.linear.ridge import solve_ridge

MISTAKES = (10,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance from the shortest solution, and that of the printed
    version.
    """
    n, d = 20, 50
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    X, y = X - X.mean(axis=0), y - y.mean()
    # Of n centred rows one says nothing: the multipliers are those of the others.
    rows = X[:-1]
    shortest = rows.T @ np.linalg.solve(rows @ rows.T, y[:-1])
    found = {
        "least squares": solve_ols(X, y).theta[:-1],
        "ridge, lambda = 0": solve_ridge(X, y, alpha=0.0),
        "ridge, lambda = 1e-10": solve_ridge(X, y, alpha=1e-10),
        "value in source": np.linalg.inv(X.T @ X) @ X.T @ y,
    }
    size = np.linalg.norm(shortest)
    table = pd.DataFrame(
        [
            (
                name,
                np.linalg.norm(theta - shortest) / size,
                np.linalg.norm(theta) / size,
                np.linalg.norm(X @ theta - y) / np.linalg.norm(y),
            )
            for name, theta in found.items()
        ],
        columns=["solution", "distance from the shortest", "length", "residual"],
    )
    distances = table["distance from the shortest"]
    return Evidence(
        expected=0.0,
        measured=farthest(distances[:2], 0.0),
        tolerance=1e-10,
        value_in_source=float(distances.iloc[-1]),
        table=table,
    )
