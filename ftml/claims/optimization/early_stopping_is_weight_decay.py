"""Stopping gradient descent after 1 / (eta lambda) steps shrinks as an L2 penalty does.

    1 - (1 - eta e)^t  =  x - x^2 / 2 + ...,    e / (e + lambda)  =  x - x^2 + ...

for x = e / lambda, e an eigenvalue of the Hessian: the fractions of theta* that the two
leave agree to first order, where eta e << 1 and e << lambda. The measured value is the
order of their difference in x, for ftml.optim's descent on quadratics beside ridge; it
is 2, as x^2 / 2 remains. Steps are short, eta lambda = 1e-4; the next order bends the
slope by less than x = 0.05.

Source: Deep learning cheat sheet, 14.11.2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.claims._measures import log_slope
from ftml.core import State
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import solve_ridge
from ftml.optim.optimizers import sgd
from ftml.plots import new_figure

SHARES = np.array([0.0125, 0.025, 0.05])
STEPS = 10_000


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the difference of the two fractions."""
    stopped, decayed = left(SHARES)
    table = pd.DataFrame(
        {"e / lambda": SHARES, "left by stopping": stopped, "by the penalty": decayed}
    )
    return Evidence(
        expected=2.0,
        measured=log_slope(SHARES, np.abs(stopped - decayed)),
        tolerance=0.05,
        table=table,
        figure=curves,
    )


def left(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what stopping and the penalty leave of theta* for e = x, lambda = 1."""
    eigenvalues = torch.from_numpy(x)
    theta, descend = [torch.zeros_like(eigenvalues)], sgd(learning_rate=1 / STEPS)
    for _ in range(STEPS):
        descend(theta, [eigenvalues * (theta[0] - 1)], State())
    # X'X / n = diag(x), and y = X 1.
    X = np.diag(np.sqrt(len(x) * x))
    return theta[0].numpy(), solve_ridge(X, X.sum(axis=1), alpha=1.0)


def curves() -> Figure:
    """Plot both fractions over the eigenvalue."""
    x = np.geomspace(1e-2, 1e2, 60)
    stopped, decayed = left(x)
    figure, axes = new_figure()
    axes.semilogx(x, stopped, label="stopped after 1 / (eta lambda) steps")
    axes.semilogx(x, decayed, "--", label="L2 penalty lambda")
    axes.set(
        xlabel="eigenvalue / lambda", ylabel="fraction of the optimum that is reached"
    )
    axes.legend()
    return figure
