"""RMSprop's step along a constant gradient is the learning rate, whatever its size.

    gamma^2 <- rho gamma^2 + (1 - rho) g^2,   theta <- theta - eta g / (delta + gamma)

In the long run gamma = |g|. The measured value is the step after 400 ones along
gradients of 1e-3 to 1e3, rho = 0.9, in learning rates, for the size that is farthest
from 1: the start is forgotten to rho^400, and delta = 1e-8 is 1e-5 of the smallest
gradient. The notes' sum of rho^{t-s} g_s^2 lacks 1 - rho (mistake 34), and its steps
are sqrt(1 - rho) = 0.316 as long. (AdaGrad's formula there has a whole gradient for a
coordinate of it, which has no meaning to be measured.)

Source: Deep learning cheat sheet, 14.9.5.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.optimization._descents import constant_steps
from ftml.evidence import Budget, Evidence
from ftml.optim.optimizers import rmsprop

MISTAKES = (34,)
RHO, COUNT = 0.9, 400


def check(seed: int, budget: Budget) -> Evidence:
    """Return the last step in learning rates, and that of the printed version."""
    sizes = np.array([1e-3, 1.0, 1e3])
    rule = rmsprop(learning_rate=1.0, rho=RHO)
    found = [constant_steps(rule, count=COUNT, g=float(g))[-1] for g in sizes]
    squares = np.sum(RHO ** np.arange(COUNT)) * sizes**2
    printed = sizes / (1e-8 + np.sqrt(squares))
    table = pd.DataFrame({"gradient": sizes, "step": found, "value in source": printed})
    return Evidence(
        expected=1.0,
        measured=farthest(found, 1.0),
        tolerance=2e-5,
        value_in_source=float(printed.max()),
        table=table,
    )
