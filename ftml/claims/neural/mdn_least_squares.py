"""A mixture density network of one component with a fixed variance is least squares.

    -ln N(y; g(x), v) = (y - g(x))^2 / (2 v) + const

A linear g is fitted to the diabetes table by BFGS on the family's loss, its variance
held at 1. The measured value is the largest gap between its predictions and those of
ordinary least squares, in standard deviations of y.

Source: Exam solutions, "NN & conditional density mixture", (2).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols
from ftml.nn.mixture import NegativeLogLikelihood


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a prediction; nothing is random."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X / X.std(axis=0), (y - y.mean()) / y.std()
    inputs, target = torch.from_numpy(X), torch.from_numpy(y)

    def loss_and_slope(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.from_numpy(theta).requires_grad_()
        g = inputs @ w[:-1] + w[-1]
        zero = torch.zeros_like(g)
        outputs = torch.stack([zero, g, zero], dim=1)
        loss = NegativeLogLikelihood.apply(outputs, target).mean()
        (gradient,) = torch.autograd.grad(loss, w)
        return loss.item(), gradient.numpy()

    start = np.zeros(X.shape[1] + 1)
    found = minimize(loss_and_slope, start, jac=True, options={"gtol": 1e-10})
    gap = np.abs(X @ found.x[:-1] + found.x[-1] - solve_ols(X, y).predict(X)).max()
    return Evidence(expected=0.0, measured=float(gap), tolerance=1e-8)
