"""SGD with a constant step keeps a gap to the optimum in proportion to the step.

    E[g(theta)] - g*  ~  gamma   in the long run

The measured value is the slope of the gap over the step, both axes logarithmic: the
mean over the passes 20 to 60 of 24 runs, for gamma = 1/8, 1/16 and 1/32 of 1/L_max. To
first order in gamma it is 1, the next order bends it by about gamma h / 2 < 0.1; over
other orders of the rows the slope strays by 0.03 (standard deviation), of which the
tolerance is more than six. Rows and orders are generated from the seed.

Source: Deep learning cheat sheet, 14.9.2 ("a fixed step size is known to converge to a
ball around the optimum").
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims._measures import log_slope
from ftml.claims.optimization._sums import gaps, overlapping
from ftml.evidence import Budget, Evidence
from ftml.plots import new_figure

SIZES = np.array([1 / 8, 1 / 16, 1 / 32])
RUNS, PASSES = 24, 60


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the long-run gap over the step."""
    table = overlapping(seed, n=200)
    runs = np.array(
        [
            [
                gaps(
                    "sgd",
                    table,
                    count=PASSES,
                    alpha=0.1,
                    schedule="constant",
                    step=size,
                    seed=RUNS * seed + run,
                )
                for run in range(RUNS)
            ]
            for size in SIZES
        ]
    ).mean(axis=1)
    return Evidence(
        expected=1.0,
        measured=log_slope(SIZES, runs[:, 20:].mean(axis=1)),
        tolerance=0.2,
        chance=1e-7,
        figure=lambda: curves(runs),
    )


def curves(runs: np.ndarray) -> Figure:
    """Plot the mean gap over the passes for each step."""
    figure, axes = new_figure()
    for size, gap in zip(SIZES, runs, strict=True):
        axes.semilogy(gap, label=f"step 1/{1 / size:.0f} of 1/L")
    axes.set(xlabel="passes over the rows", ylabel="gap, mean of 24 runs")
    axes.legend()
    return figure
