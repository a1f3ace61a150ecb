"""SGD with steps of 1 / (mu t) has a gap of the order of 1/t.

    gamma_t = 1 / (mu t + L_max / step):   E[g(theta_t)] - g* = O(1/t)

The measured value is the slope of the mean gap of 64 runs over the passes 10 to 80,
both axes logarithmic. Over other orders of the rows it strays by 0.05 (standard
deviation): the tolerance is eight of these, which distinguishes 1/t from 1/sqrt(t),
whose slope is -1/2. Rows and orders are generated from the seed.

Source: FTML lecture 9, "SGD"; Deep learning cheat sheet, 14.9.1 ("can achieve a O(1/t)
suboptimality rate").
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims._measures import log_slope
from ftml.claims.optimization._sums import gaps, overlapping
from ftml.evidence import Budget, Evidence
from ftml.plots import new_figure

RUNS, PASSES = 64, 80


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the mean gap over the passes."""
    table = overlapping(seed, n=200)
    mean = np.mean(
        [
            gaps(
                "sgd",
                table,
                count=PASSES,
                alpha=0.5,
                schedule="decreasing",
                seed=RUNS * seed + run,
            )
            for run in range(RUNS)
        ],
        axis=0,
    )
    passes = np.arange(1, PASSES + 1)
    return Evidence(
        expected=-1.0,
        measured=log_slope(passes[9:], mean[9:]),
        tolerance=0.4,
        chance=1e-7,
        figure=lambda: curve(passes, mean),
    )


def curve(passes: np.ndarray, mean: np.ndarray) -> Figure:
    """Plot the mean gap over the passes beside 1/t."""
    figure, axes = new_figure()
    axes.loglog(passes, mean, label=f"mean gap of {RUNS} runs")
    axes.loglog(passes, mean[-1] * PASSES / passes, "k--", linewidth=1, label="1 / t")
    axes.set(xlabel="passes over the rows", ylabel="gap to the optimum")
    axes.legend()
    return figure
