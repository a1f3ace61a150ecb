"""Steps falling as t^-a, 1/2 < a <= 1, take SGD to the optimum; constant ones do not.

    sum eta_t = infinity, sum eta_t^2 < infinity
    E[theta_{t+1}^2] = (1 - eta_t)^2 E[theta_t^2] + eta_t^2

for noisy gradients theta + noise of variance 1. ftml.optim's schedule `robbins_monro`
has a = 3/4. The measured value is the mean of theta^2 after 2000 steps over 4000 runs,
in what the recursion expects: about eta / 2, and so to 0 with eta. It is compared
within its standard errors. The figure has constant steps, which stay where they are,
and steps of t^-3/2, whose sum is finite: they stop on the way.

Source: Deep learning cheat sheet, 14.9 ("typically eta_t = C t^-alpha") and 14.9.1;
Robbins and Monro 1951, "A stochastic approximation method".
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from ftml.core import State
from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.optim.optimizers import sgd
from ftml.optim.schedules import SCHEDULES
from ftml.plots import new_figure

STEPS, START = 2000, 3.0
# Ten times the schedule's length, so that it falls from t = T / 10 on as t^(-3/4).
SIZES = np.array([SCHEDULES["robbins_monro"](t, STEPS // 10) for t in range(STEPS)])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean square at the end, in that of the recursion."""
    expected = recursion(0.5 * SIZES)[-1]

    def squares(rng: np.random.Generator, runs: int) -> np.ndarray:
        theta = [torch.full((runs,), START, dtype=torch.float64)]
        descend, moments = sgd(learning_rate=0.5), State()
        for size in SIZES:
            noise = torch.from_numpy(rng.normal(size=runs))
            descend(theta, [theta[0] + noise], moments, scale=float(size))
        return theta[0].numpy() ** 2 / expected

    draws = budget.draw(squares, seed=seed, n=4000)
    return evidence_of_mean(draws, expected=1.0, figure=curves)


def recursion(sizes: np.ndarray) -> np.ndarray:
    """Return E[theta_t^2] after each step of these sizes."""
    square, met = START**2, []
    for size in sizes:
        square = (1 - size) ** 2 * square + size**2
        met.append(square)
    return np.array(met)


def curves() -> Figure:
    """Plot the mean square over the steps for three schedules."""
    t = np.arange(1, 20 * STEPS + 1)
    figure, axes = new_figure()
    for label, sizes in (
        ("constant", np.full(len(t), 0.1)),
        ("t^-3/4", 0.5 * t**-0.75),
        ("t^-3/2", 0.5 * t**-1.5),
    ):
        axes.loglog(t, recursion(sizes), label=f"steps {label}")
    axes.set(xlabel="step t", ylabel="mean square distance to the optimum")
    axes.legend()
    return figure
