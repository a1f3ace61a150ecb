"""Gradient descent closes a strongly convex gap by a constant factor a step.

    g(theta_t) - g* <= (1 - mu/L)^t (g(theta_0) - g*)      at every t, step 1/L
    theta_{t+1} - theta* = (I - H/L) (theta_t - theta*)     near the optimum

so that in the flattest direction, of the least eigenvalue h >= mu of the Hessian at the
optimum, the distance falls by 1 - h/L a step. The measured value is that factor, over
ten steps from a distance of 1e-4 in that direction, where the next order is of 1e-4;
NaN where the bound is broken by a run from zero. The notes write grad g(theta) without
its iteration (mistake 11): with theta_0 for it the direction never changes, and the
distance grows in the end. The classes are generated from the seed.

Source: FTML lecture 9, "Empirical risk minimization", (12) and (18); Deep learning
cheat sheet, 14.4.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims.optimization._sums import gaps, optimum, overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import (
    FiniteSum,
    gradient,
    hessian,
    make_sum,
    objective,
)
from ftml.families.optimization.gradient_descent import Config, advance
from ftml.plots import COLOURS, new_figure

MISTAKES = (11,)
MU, STEPS, NEAR = 0.1, 200, 1e-4


def check(seed: int, budget: Budget) -> Evidence:
    """Return the factor of the distance a step, and that of the printed steps."""
    table = overlapping(seed)
    g = make_sum(table, mu=MU)
    best = optimum(g)
    start = objective(g, np.zeros_like(best)) - objective(g, best)
    gap = gaps("gradient_descent", table, count=STEPS, alpha=MU)
    t = np.arange(1, STEPS + 1)
    bound = (1 - MU / g.smoothness) ** t * start
    printed = printed_version(g, best)
    least, directions = np.linalg.eigh(hessian(g, best))
    state = {"theta": best + NEAR * directions[:, 0]}
    for _ in range(10):
        state = advance(g, Config(alpha=MU), state)
    factor = float(np.linalg.norm(state["theta"] - best) / NEAR) ** 0.1
    return Evidence(
        expected=float(1 - least[0] / g.smoothness),
        measured=factor if (gap <= bound).all() else float("nan"),
        tolerance=1e-3,
        value_in_source=float((printed[-1] / printed[-11]) ** 0.1),
        table=pd.DataFrame(
            {"step": t, "gap": gap, "bound": bound, "gap in the notes": printed}
        ).iloc[[0, 9, 49, 99, 199]],
        figure=lambda: curves(t, gap, bound, printed),
    )


def printed_version(g: FiniteSum, best: np.ndarray) -> np.ndarray:
    """Return the gaps of steps along the gradient of the first point, (STEPS,)."""
    start = np.zeros_like(best)
    along = gradient(g, start) / g.smoothness
    values = [objective(g, start - t * along) for t in range(1, STEPS + 1)]
    return np.array(values) - objective(g, best)


def curves(
    t: np.ndarray, gap: np.ndarray, bound: np.ndarray, printed: np.ndarray
) -> Figure:
    """Plot the gap, its bound and the gap of the printed version over the steps."""
    figure, axes = new_figure()
    axes.semilogy(t, np.where(gap > 1e-15, gap, np.nan), label="gradient descent")
    axes.semilogy(t, bound, "--", color=COLOURS[6], label="bound (1 - mu/L)^t")
    axes.semilogy(t, printed, color=COLOURS[1], label="in the notes: one gradient")
    axes.set(xlabel="step t", ylabel="gap to the optimum")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    return figure
