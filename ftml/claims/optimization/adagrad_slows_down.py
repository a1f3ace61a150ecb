"""AdaGrad's steps along a constant gradient fall as 1 / sqrt(t), whatever its size.

    gamma_i(t) = sqrt(sum_{s <= t} g_is^2),   theta_i <- theta_i - eta g_it / (delta +
    gamma_i(t))

The measured value is t^(1/2) times the step, in learning rates, of the first 100 steps
along gradients of 1e-3 to 1e3 that is farthest from 1: delta = 1e-10 is 1e-7 of the
smallest gradient.

Source: Deep learning cheat sheet, 14.9.5; Duchi, Hazan and Singer 2011, "Adaptive
subgradient methods".
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import farthest
from ftml.claims.optimization._descents import constant_steps
from ftml.evidence import Budget, Evidence
from ftml.optim.optimizers import adagrad

COUNT = 100


def check(seed: int, budget: Budget) -> Evidence:
    """Return sqrt(t) times the step that is farthest from the learning rate."""
    rule = adagrad(learning_rate=1.0)
    steps = [constant_steps(rule, count=COUNT, g=g) for g in (1e-3, 1.0, 1e3)]
    scaled = np.array(steps) * np.sqrt(np.arange(1, COUNT + 1))
    return Evidence(
        expected=1.0, measured=farthest(scaled.ravel(), 1.0), tolerance=2e-7
    )
