"""Newton's method doubles the number of correct digits with every step.

    |theta_{t+1} - theta*| ~ C |theta_t - theta*|^2    near the optimum

The measured value is the exponent: the slope of the next distance over the present one,
both axes logarithmic, from distances of 0.1 to 0.003 in ten random directions, whose
squares are averaged. The cubic term bends it by about the distance. Gradient descent
has the exponent 1.

Source: Deep learning cheat sheet, "9 Newton's Method".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ftml.claims._measures import (
    log_slopes,
    root_mean_square,
    slope_figure,
    slope_table,
)
from ftml.claims.optimization._sums import optimum, overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization import gradient_descent, newton
from ftml.families.optimization._finite_sum import FiniteSum, make_sum

MU = 0.05
DISTANCES = 0.1 * 10.0 ** (-np.arange(4) / 2)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the exponent of Newton's method."""
    g = make_sum(overlapping(seed, n=100), mu=MU)
    best = optimum(g)
    directions = np.random.default_rng(seed).normal(size=(10, *best.shape))
    curves = {
        name: root_mean_square(
            [distances(solver, g, best, each) for each in directions]
        )
        for name, solver in (("Newton", newton), ("gradient descent", gradient_descent))
    }
    return Evidence(
        expected=2.0,
        measured=log_slopes(DISTANCES, curves)["Newton"],
        tolerance=0.1,
        table=slope_table(DISTANCES, curves),
        figure=lambda: slope_figure(
            DISTANCES,
            curves,
            xlabel="distance to the optimum",
            ylabel="distance after one step",
        ),
    )


def distances(
    solver: Any, g: FiniteSum, best: np.ndarray, direction: np.ndarray
) -> np.ndarray:
    """Return the distance to the optimum after one step from each of DISTANCES."""
    unit = direction / np.linalg.norm(direction)
    starts = [best + each * unit for each in DISTANCES]
    steps = [
        solver.advance(g, solver.Config(alpha=MU), {"theta": start})["theta"]
        for start in starts
    ]
    return np.linalg.norm(np.array(steps) - best, axis=1)
