"""Without strong convexity gradient descent's gap falls as 1/t, which is sublinear.

    g(theta_t) - g* <= L |theta_0 - theta*|^2 / (2 t)

Linearly separable classes have no optimum: the loss falls to 0 forever, with a margin
that grows as log t, hence as 1/t. The measured value is the slope of the loss over t =
400 to 4000, both axes logarithmic. The logarithm in the margin bends it by less than 1
/ log t = 0.17. NaN where the bound is broken, with the last point for theta*. (The
notes' bound has 2 L for L / 2: it holds too.) The classes are generated from the seed.

Source: FTML lecture 9, "Empirical risk minimization" (convex g); Deep learning cheat
sheet, 14.4; Soudry et al. 2018, "The implicit bias of gradient descent on separable
data".
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims._measures import log_slope
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import make_sum, objective
from ftml.families.optimization.gradient_descent import Config, advance, begin
from ftml.plots import new_figure

STEPS = 4000


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the loss over the steps."""
    rng = np.random.default_rng(seed)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 2)) + 4.0 * (2 * y[:, None] - 1)
    config = Config(alpha=1e-12)
    g = make_sum(Table(X, y, classes=("no", "yes")), mu=config.alpha)
    state, losses = begin(g, config), np.empty(STEPS)
    start = state["theta"]
    for i in range(STEPS):
        state = advance(g, config, state)
        losses[i] = objective(g, state["theta"])
    t = np.arange(1, STEPS + 1)
    way = np.sum((start - state["theta"]) ** 2)
    bounded = losses - losses[-1] <= g.smoothness * way / (2 * t)
    late = t >= 400
    return Evidence(
        expected=-1.0,
        measured=log_slope(t[late], losses[late]) if bounded.all() else float("nan"),
        tolerance=0.17,
        figure=lambda: curve(t, losses),
    )


def curve(t: np.ndarray, losses: np.ndarray) -> Figure:
    """Plot the loss over the steps beside 1/t."""
    figure, axes = new_figure()
    axes.loglog(t, losses, label="gradient descent")
    axes.loglog(t, losses[-1] * t[-1] / t, "k--", linewidth=1, label="1 / t")
    axes.set(xlabel="step t", ylabel="loss, which has no minimum")
    axes.legend()
    return figure
