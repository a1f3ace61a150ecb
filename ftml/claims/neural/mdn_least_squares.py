"""A mixture density network of one component with a fixed variance is least squares.

    -ln N(y; g(x), v) = (y - g(x))^2 / (2 v) + const

A linear g is fitted to the diabetes table by 200 steps of L-BFGS on the family's loss,
its variance held at 1. Measured is the largest gap between its predictions and those of
ordinary least squares, in deviations of y.

Source: 000_dd65aead3f2d61f3.txt, "NN & conditional density mixture", (2).
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes

from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols
from ftml.nn.mixture import NegativeLogLikelihood


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a prediction; nothing is drawn."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X / X.std(axis=0), (y - y.mean()) / y.std()
    inputs, target = torch.from_numpy(X), torch.from_numpy(y)
    theta = torch.zeros(X.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS(
        [theta],
        max_iter=200,
        tolerance_grad=1e-12,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        descent.zero_grad()
        g = inputs @ theta[:-1] + theta[-1]
        zero = torch.zeros_like(g)
        outputs = torch.stack([zero, g, zero], dim=1)
        loss: torch.Tensor = NegativeLogLikelihood.apply(outputs, target).mean()
        loss.backward()
        return loss

    descent.step(closure)
    found = (inputs @ theta[:-1] + theta[-1]).detach().numpy()
    gap = abs(found - solve_ols(X, y).predict(X)).max()
    return Evidence(expected=0.0, measured=float(gap), tolerance=1e-8)
