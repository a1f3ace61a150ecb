"""SAGA's direction is unbiased, SAG's is not: it holds 1/n of the present gradient.

    E_i[SAG]  = (1/n) grad l(theta) + (1 - 1/n) (mean of the memory) + mu theta
    E_i[SAGA] = grad l(theta) + mu theta

The measured value is the weight w of the present gradient in SAG's mean direction over
all n rows, from a random point and memory: w = 1/n. For SAGA it must be 1, otherwise
the measured value is NaN. They differ only by rounding.

Source: FTML lecture 9, "SAG", (18); Defazio, Bach and Lacoste-Julien 2014, "SAGA: a
fast incremental gradient method".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims.optimization._sums import overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization import sag, saga
from ftml.families.optimization._finite_sum import gradient, make_sum

MU, GAMMA = 0.1, 0.5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the weight of the present gradient in SAG's mean direction."""
    g = make_sum(overlapping(seed), mu=MU)
    n, d = g.X.shape
    rng = np.random.default_rng(seed)
    theta, memory = np.split(rng.normal(size=d + n), [d])
    present = gradient(g, theta) - MU * theta
    remembered = memory @ g.X / n
    data = g.X, g.y, theta, memory
    rows = [np.array([i]) for i in range(n)]
    moved = {
        "SAG": [sag.descend(*data, row, GAMMA, 1.0, MU)[0] for row in rows],
        "SAGA": [saga.descend(*data, row, GAMMA, MU)[0] for row in rows],
    }
    weights = {}
    for name, points in moved.items():
        direction = (theta - np.mean(points, axis=0)) / GAMMA - MU * theta
        apart = present - remembered
        weights[name] = float((direction - remembered) @ apart / (apart @ apart))
    unbiased = abs(weights["SAGA"] - 1) < 1e-10
    table = pd.DataFrame(
        {"method": list(weights), "weight of the present": list(weights.values())}
    )
    return Evidence(
        expected=1 / n,
        measured=weights["SAG"] if unbiased else float("nan"),
        tolerance=1e-10,
        table=table,
    )
