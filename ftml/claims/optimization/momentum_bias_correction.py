"""Momentum, divided by 1 - alpha^t, is the gradient itself where that is constant.

    m_t = alpha m_{t-1} + (1 - alpha) g,   mhat_t = m_t / (1 - alpha^t) = g,
    theta_t = theta_{t-1} - eta mhat_t

The measured value is the fifth step of ftml.optim's momentum along a constant gradient,
alpha = 0.95, in steps of gradient descent. The notes divide by (1 - alpha)^t, and have
a minus in m beside that before eta (mistake 32): the step is then 724 000 times too
long and goes up. Only rounding is tolerated.

Source: Deep learning cheat sheet, 14.9.3.
"""

from __future__ import annotations

import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.optimization._descents import constant_steps
from ftml.evidence import Budget, Evidence
from ftml.optim.optimizers import momentum

MISTAKES = (32,)
ALPHA, COUNT = 0.95, 5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the steps along a constant gradient, and the fifth of the printed
    version.
    """
    found = constant_steps(momentum(learning_rate=1.0, alpha=ALPHA), count=COUNT)
    m, printed = 0.0, []
    for t in range(1, COUNT + 1):
        m = ALPHA * m - (1 - ALPHA)
        printed.append(m / (1 - ALPHA) ** t)
    table = pd.DataFrame(
        {"t": range(1, COUNT + 1), "step": found, "step in the notes": printed}
    )
    return Evidence(
        expected=1.0,
        measured=farthest(found, 1.0),
        tolerance=1e-12,
        value_in_source=printed[-1],
        table=table,
    )
