"""The nearest point of a ball is the point itself, shortened to the radius.

    Pi_r(v) = min(1, r / |v|) v,   |v - Pi_r(v)| = max(|v| - r, 0)

No point of the ball is nearer, by the triangle inequality. The measured value is the
largest difference of |v - Pi_r(v)| from max(|v| - r, 0) over 500 random points, some
half of them outside; NaN where a projection lies outside. The notes' Pi_r(v) = min(1, r
/ |v|) lacks the v (mistake 37), and is a number: taken for every coordinate, as a
program would, it leaves the ball, and its differences are of the order of |v|. Only
rounding is tolerated.

Source: Deep learning cheat sheet, 14.11.1.
"""

from __future__ import annotations

import numpy as np
import torch

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.optim.constraints import project_ball

MISTAKES = (37,)
RADIUS = 2.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest excess of a projection's distance, and that of the printed
    version.
    """
    v = np.random.default_rng(seed).normal(size=(500, 5))
    length = np.linalg.norm(v, axis=1)
    least = np.maximum(length - RADIUS, 0.0)
    found = project_ball(torch.from_numpy(v), RADIUS).numpy()
    printed = np.minimum(1.0, RADIUS / length)[:, None] * np.ones(5)
    excess, excess_printed = (
        np.linalg.norm(v - point, axis=1) - least for point in (found, printed)
    )
    inside = (np.linalg.norm(found, axis=1) <= RADIUS * (1 + 1e-12)).all()
    return Evidence(
        expected=0.0,
        measured=farthest(excess, 0.0) if inside else float("nan"),
        tolerance=1e-12,
        value_in_source=farthest(excess_printed, 0.0),
    )
