"""The gradient of one uniformly random sample is the full gradient in expectation.

    E_i[grad g_i(theta)] = grad g(theta)

The measured value is the distance of the mean of SGD's n possible steps from gradient
descent's step of the same size, relative to it, at a random point: rounding. The table
has what one sample's gradient strays from the mean: it does not vanish at the optimum,
which is why SGD with a constant step stays in a ball.

Source: FTML lecture 9, "SGD", (17); Deep learning cheat sheet, 14.9.1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.optimization._sums import optimum, overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import FiniteSum, gradient, make_sum
from ftml.families.optimization.sgd import descend

MU, SIZE = 0.1, np.array([0.5])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance of the mean step from the full gradient's step."""
    g = make_sum(overlapping(seed), mu=MU)
    best = optimum(g)
    far = best + np.random.default_rng(seed).normal(size=len(best))
    rows = [
        (name, *distances(g, theta))
        for name, theta in (("random", far), ("best", best))
    ]
    columns = ["point", "of the mean step", "of one step, root mean square"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=0.0,
        measured=farthest(table["of the mean step"], 0.0),
        tolerance=1e-12,
        table=table,
    )


def distances(g: FiniteSum, theta: np.ndarray) -> tuple[float, float]:
    """Return how far the mean step, and one step, are from the full gradient's."""
    n = len(g.y)
    moved = [
        descend(g.X, g.y, theta, theta, np.array([i]), SIZE, SIZE, g.mu)[0]
        for i in range(n)
    ]
    strays = theta - np.array(moved) - SIZE * gradient(g, theta)
    mean = np.linalg.norm(strays.mean(axis=0))
    return float(mean), float(np.sqrt(np.mean(np.sum(strays**2, axis=1))))
