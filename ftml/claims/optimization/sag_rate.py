"""SAG closes the gap by a constant factor a pass, at the price of one gradient a step.

    E[g(theta_t)] - g* <= (1 - min(mu / (16 L), 1 / (8 n)))^t C,   step 1 / (16 L)
    C = g(theta_0) - g* + (4 L / n) |theta_0 - theta*|^2 + s^2 / (16 L)

with L the largest L_i and s^2 the mean square of the gradients at the optimum. (The
family divides by the rows seen so far, as the paper advises; it proves n.) SGD with a
constant step stays in a ball instead (the figure). The measured value is the gap after
30 passes over 300 rows, in C: 0, up to what the theorem allows. Rows and their order
are random. By Markov's inequality the gap is above what is allowed with a probability
of at most its mean over that, which for ten seeds was below 1e-7.

Source: FTML lecture 9, "SAG"; Schmidt, Le Roux and Bach 2017, "Minimizing finite sums
with the stochastic average gradient", theorem 1.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims.optimization._sums import gaps, optimum, overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import FiniteSum, make_sum, objective
from ftml.plots import new_figure

MU, PASSES, ROWS = 0.1, 30, 300


def check(seed: int, budget: Budget) -> Evidence:
    """Return the gap after the passes in C, and what the theorem allows."""
    table = overlapping(seed, n=ROWS)
    g = make_sum(table, mu=MU)
    gap = gaps(
        "sag",
        table,
        count=PASSES,
        alpha=MU,
        step="1/16L",
        sampling="uniform",
        seed=seed,
    )
    L = g.smoothness_of_each.max()
    rate = min(MU / (16 * L), 1 / (8 * ROWS))
    return Evidence(
        expected=0.0,
        measured=float(gap[-1] / constant(g)),
        tolerance=float((1 - rate) ** (ROWS * PASSES)),
        chance=1e-6,
        figure=lambda: curves(seed),
    )


def constant(g: FiniteSum) -> float:
    """Return C for theta_0 = 0 and a memory of zeros."""
    best, n = optimum(g), len(g.y)
    L = g.smoothness_of_each.max()
    slope = -g.y / (1 + np.exp(g.y * (g.X @ best)))
    each = slope[:, None] * g.X + g.mu * best
    gap = objective(g, np.zeros_like(best)) - objective(g, best)
    distance, square = best @ best, np.mean(np.sum(each**2, axis=1))
    return float(gap + 4 * L / n * distance + square / (16 * L))


def curves(seed: int) -> Figure:
    """Plot the gaps of the solvers over passes, each of n gradients."""
    table = overlapping(seed, n=ROWS)
    figure, axes = new_figure(6.4, 4.4)
    solvers = {
        "gradient descent": ("gradient_descent", {}),
        "Nesterov": ("nesterov", {}),
        "SGD, constant step": ("sgd", {"schedule": "constant"}),
        "SGD, 1/t": ("sgd", {"schedule": "decreasing"}),
        "SAG, step 1/L": ("sag", {"step": "1/L"}),
        "SAGA": ("saga", {}),
    }
    for label, (name, settings) in solvers.items():
        gap = gaps(name, table, count=60, alpha=MU, seed=seed, **settings)
        axes.semilogy(np.where(gap > 1e-15, gap, np.nan), label=label)
    axes.set(xlabel="passes over the rows", ylabel="gap to the optimum")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    return figure
