"""For each L2 penalty there is a ball such that the two give the same weights.

    argmin R(theta) + lambda |theta|^2   =   argmin R(theta) over |theta| <= r,
    r = |theta_lambda|

for a convex R. The right side is found by projected gradient descent, theta <-
Pi_r(theta - eta grad R), with ftml.optim's projection, the left one by ridge. The
measured value is the largest relative distance of the two over penalties of 0.01 to 10,
for the squared loss on 60 x 5 normal columns that are generated from the seed. After
1000 steps of 1/L only rounding is left: the least eigenvalue is above L / 20 but with a
probability far below 1e-7, and 0.95^1000 is 5e-23.

Source: Deep learning cheat sheet, 14.11.1 ("for each lambda in L2-Regularization there
is a radius r").
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ftml.claims._measures import farthest
from ftml.core import State
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import solve_ridge
from ftml.optim.constraints import project_ball
from ftml.optim.optimizers import sgd

N, D, STEPS = 60, 5, 1000


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance of constraint and penalty."""
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(N, D)), rng.normal(size=N)
    y = X @ np.arange(1.0, D + 1) + noise
    rows = []
    for alpha in (0.01, 0.1, 1.0, 10.0):
        penalised = solve_ridge(X, y, alpha=alpha)
        radius = float(np.linalg.norm(penalised))
        found = constrained(X, y, radius=radius)
        rows.append((alpha, radius, np.linalg.norm(found - penalised) / radius))
    table = pd.DataFrame(rows, columns=["lambda", "radius", "distance"])
    return Evidence(
        expected=0.0,
        measured=farthest(table["distance"], 0.0),
        tolerance=1e-10,
        table=table,
    )


def constrained(X: np.ndarray, y: np.ndarray, *, radius: float) -> np.ndarray:
    """Return the theta of the ball with the least mean squared error."""
    H, moments = torch.from_numpy(X.T @ X / N), torch.from_numpy(X.T @ y / N)
    descend = sgd(learning_rate=1 / float(torch.linalg.eigvalsh(H)[-1]))
    theta = [torch.zeros(D, dtype=torch.float64)]
    for _ in range(STEPS):
        descend(theta, [H @ theta[0] - moments], State())
        theta[0] = project_ball(theta[0], radius)
    return theta[0].numpy()
