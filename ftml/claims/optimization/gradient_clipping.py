"""Clipping keeps the direction of a gradient and lets no step be longer than eta c.

    g -> min(1, c / |g|) g

On R = theta^4 / 4 gradient descent with eta = 0.1 from theta_0 = 10 diverges; with its
gradient clipped at c = 5 it decreases by eta c per step, and then as usual. The
measured value is theta after 10 steps, which is 10 - 10 eta c = 5; NaN where the steps
without clipping do not diverge. Only rounding is tolerated.

Source: Deep learning cheat sheet, 14.5 ("Motivates gradient clipping heuristics").
"""

from __future__ import annotations

import pandas as pd
import torch

from ftml.claims.optimization._descents import iterates
from ftml.evidence import Budget, Evidence
from ftml.optim.constraints import clip
from ftml.optim.optimizers import sgd

ETA, LIMIT, START = 0.1, 5.0, 10.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return theta after ten clipped steps."""

    def clipped(theta: float) -> float:
        return float(clip([torch.tensor([theta**3], dtype=torch.float64)], LIMIT)[0])

    descend = sgd(learning_rate=ETA)
    found = iterates(descend, clipped, start=START, count=60)
    plain = iterates(descend, lambda theta: theta**3, start=START, count=4)
    diverges = abs(plain[-1]) > abs(plain[0])
    table = pd.DataFrame({"step": range(5), "clipped": found[:5], "plain": plain})
    return Evidence(
        expected=START - 10 * ETA * LIMIT,
        measured=found[10] if diverges else float("nan"),
        tolerance=1e-12,
        table=table,
    )
