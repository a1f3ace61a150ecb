"""Nesterov's momentum descends from the look-ahead point; the printed version ascends.

    v <- alpha v - eps grad R(theta + alpha v),   theta <- theta + v

On R = (h/2) theta^2 the recursion has the roots of z^2 - (1 + alpha)(1 - eps h) z +
alpha (1 - eps h). The measured value is the factor of ftml.optim's parameters a step,
over the steps 100 to 120, for h = 1, eps = 0.02, alpha = 0.5: the larger root is real,
and the other one's share is below 1e-20 by then. The notes have v <- alpha v + eps grad
(mistake 33): what they print is run with eta mhat = v, and grows.

Source: Deep learning cheat sheet, 14.9.4.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims.optimization._descents import iterates
from ftml.evidence import Budget, Evidence
from ftml.optim.optimizers import nesterov
from ftml.plots import COLOURS, new_figure

MISTAKES = (33,)
EPS, ALPHA, COUNT = 0.02, 0.5, 120


def check(seed: int, budget: Budget) -> Evidence:
    """Return the factor a step, and that of the printed steps."""
    found = np.array(
        iterates(
            nesterov(learning_rate=EPS, alpha=ALPHA),
            lambda theta: theta,
            start=1.0,
            count=COUNT,
        )
    )
    printed = printed_version()
    a = 1 - EPS
    roots = np.roots([1.0, -(1 + ALPHA) * a, ALPHA * a])
    table = pd.DataFrame({"step": range(COUNT + 1), "theta": found, "printed": printed})
    return Evidence(
        expected=float(np.abs(roots).max()),
        measured=float((found[-1] / found[-21]) ** (1 / 20)),
        tolerance=1e-12,
        value_in_source=float((printed[-1] / printed[-21]) ** (1 / 20)),
        table=table.iloc[::20],
        figure=lambda: curves(found, printed),
    )


def printed_version() -> np.ndarray:
    """Return theta of a jump of alpha v, then v <- alpha v + eps grad R there."""
    theta, v, met = 1.0, 0.0, [1.0]
    for _ in range(COUNT):
        jumped = theta + ALPHA * v
        v = ALPHA * v + EPS * jumped
        theta = jumped
        met.append(theta)
    return np.array(met)


def curves(found: np.ndarray, printed: np.ndarray) -> Figure:
    """Plot the distance to the optimum over the steps."""
    figure, axes = new_figure()
    axes.semilogy(np.abs(found), label="Nesterov's momentum")
    axes.semilogy(np.abs(printed), color=COLOURS[1], label="value in source")
    axes.set(xlabel="step", ylabel="distance to the optimum")
    axes.legend()
    return figure
