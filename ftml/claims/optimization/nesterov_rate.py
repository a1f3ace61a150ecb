"""Nesterov's steps shrink the flattest direction by 1 - sqrt(mu/L), not by 1 - mu/L.

    theta_t = (1 + q t) (1 - q)^t theta_0,   q = sqrt(mu/L)

along a direction that the losses do not see (two equal columns, opposed), where the
Hessian is mu: both roots of Nesterov's recursion are 1 - q there. Gradient descent has
theta_t = (1 - q^2)^t theta_0. The measured value is the factor of theta_t / (1 + q t) a
step, over 100 steps: only rounding parts it from 1 - q. It is NaN where the gap breaks
the bound (1 - q)^t (g(theta_0) - g* + (mu/2) |theta_0 - theta*|^2), or where gradient
descent has another factor. The columns are generated from the seed.

Source: Deep learning cheat sheet, 14.4 ("If we use Nesterov acceleration"); Nesterov
2004, "Introductory lectures on convex optimization", section 2.2.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims.optimization._sums import gaps, overlapping
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.optimization import gradient_descent, nesterov
from ftml.families.optimization._finite_sum import FiniteSum, make_sum, objective
from ftml.plots import COLOURS, new_figure

MU, STEPS = 1e-2, 100


def check(seed: int, budget: Budget) -> Evidence:
    """Return the factor a step along the flattest direction."""
    table = overlapping(seed)
    twice = Table(
        np.column_stack([table.X[:, 0], table.X]), table.y, classes=table.classes
    )
    g = make_sum(twice, mu=MU)
    q = np.sqrt(MU / g.smoothness)
    flat = np.zeros(g.X.shape[1])
    flat[:2] = 1.0, -1.0
    fast, slow = distances(g, flat)
    t = np.arange(STEPS + 1)
    slow_is_right = np.allclose(slow, (1 - q**2) ** t, rtol=1e-9)
    # Along `flat` the losses are constant, and g - g(0) is (mu/2) |theta|^2.
    bounded = (fast**2 <= 2 * (1 - q) ** t).all()
    factor = (fast[-1] / (1 + q * STEPS)) ** (1 / STEPS)
    return Evidence(
        expected=float(1 - q),
        measured=float(factor) if bounded and slow_is_right else float("nan"),
        tolerance=1e-9,
        figure=lambda: curves(seed),
    )


def distances(g: FiniteSum, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |theta_t| / |theta_0| of Nesterov's steps and of plain ones, (STEPS + 1,).

    They begin at the direction `flat` itself, where the losses are as at zero; what
    they do across it is left out.
    """
    along = flat / (flat @ flat)
    config = gradient_descent.Config(alpha=MU), nesterov.Config(alpha=MU)
    slow = {"theta": flat}
    fast = {"theta": flat, "ahead": flat}
    met = [(1.0, 1.0)]
    for _ in range(STEPS):
        slow = gradient_descent.advance(g, config[0], slow)
        fast = nesterov.advance(g, config[1], fast)
        met.append((fast["theta"] @ along, slow["theta"] @ along))
    both = np.array(met)
    return both[:, 0], both[:, 1]


def curves(seed: int) -> Figure:
    """Plot the gaps of both solvers on overlapping classes, with their bounds."""
    table, mu, t = overlapping(seed), 1e-3, np.arange(1, 401)
    g = make_sum(table, mu=mu)
    start = objective(g, np.zeros(g.X.shape[1]))
    figure, axes = new_figure(6.4, 4.4)
    for name, rate, colour in (
        ("gradient_descent", mu / g.smoothness, COLOURS[0]),
        ("nesterov", np.sqrt(mu / g.smoothness), COLOURS[1]),
    ):
        gap = gaps(name, table, count=len(t), alpha=mu)
        gap = np.where(gap > 1e-14, gap, np.nan)
        axes.semilogy(t, gap, color=colour, label=name.replace("_", " "))
        axes.semilogy(
            t, start * (1 - rate) ** t, "--", color=colour, label="slope of its bound"
        )
    axes.set(xlabel="step", ylabel="gap to the optimum", ylim=(1e-14, 10))
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure
