"""A gradient step changes the risk by -eta |g|^2 + (eta^2 / 2) g'Hg, to third order.

    R(theta - eta g) = R - eta |g|^2 + (eta^2 / 2) g'Hg + O(eta^3)

so that it helps while eta g'Hg / 2 < |g|^2. The measured value is the order of the
remainder in eta, on the logistic objective, its root mean square over ten points;
without the curvature it is 2 (the table). The next order bends the slope by about eta.
Rows and points are generated from the seed.

Source: Deep learning cheat sheet, 14.5 ("2nd-order Taylor expansion").
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import (
    log_slopes,
    root_mean_square,
    slope_figure,
    slope_table,
)
from ftml.claims.optimization._sums import overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import (
    gradient,
    hessian,
    make_sum,
    objective,
)

SIZES = np.array([4e-2, 2e-2, 1e-2])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of what the expansion leaves."""
    g = make_sum(overlapping(seed), mu=0.1)
    rng = np.random.default_rng(seed)
    with_it, without_it = [], []
    for theta in rng.normal(0.0, 2.0, size=(10, *g.X[0].shape)):
        grad = gradient(g, theta)
        curvature = grad @ hessian(g, theta) @ grad
        values = np.array([objective(g, theta - eta * grad) for eta in SIZES])
        first = values - objective(g, theta) + SIZES * (grad @ grad)
        with_it.append(first - SIZES**2 / 2 * curvature)
        without_it.append(first)
    curves = {
        "with the curvature": root_mean_square(with_it),
        "without it": root_mean_square(without_it),
    }
    return Evidence(
        expected=3.0,
        measured=log_slopes(SIZES, curves)["with the curvature"],
        tolerance=0.1,
        table=slope_table(SIZES, curves),
        figure=lambda: slope_figure(
            SIZES, curves, xlabel="step eta", ylabel="remainder of the expansion"
        ),
    )
