"""Adam's first step already has the length of the learning rate, and descends.

    mhat = m / (1 - beta_1^t),   vhat = v / (1 - beta_2^t)
    theta <- theta - eta mhat / (sqrt(vhat) + eps)

Of a constant gradient mhat = g and vhat = g^2 at every t. The measured value is the
step in learning rates, of the first 20 along gradients of 1e-3 to 1e3 that is farthest
from 1; eps = 1e-8 is 1e-5 of the smallest. The notes multiply by 1 - beta^t and add
(mistake 35): the first step is then ten times too long, and climbs.

Source: Deep learning cheat sheet, 14.9.6; Kingma and Ba 2015, "Adam: a method for
stochastic optimization".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims._measures import farthest
from ftml.claims.optimization._descents import constant_steps
from ftml.evidence import Budget, Evidence
from ftml.optim.optimizers import adam
from ftml.plots import COLOURS, new_figure

MISTAKES = (35,)
COUNT = 20


def check(seed: int, budget: Budget) -> Evidence:
    """Return the step farthest from the learning rate, and the first of the printed
    version.
    """
    rule = adam(learning_rate=1.0)
    found = {g: constant_steps(rule, count=COUNT, g=g) for g in (1e-3, 1.0, 1e3)}
    t = np.arange(1, COUNT + 1)
    m, v = 1 - 0.9**t, 1 - 0.999**t
    printed = -(m * m) / (np.sqrt(v * v) + 1e-8)
    return Evidence(
        expected=1.0,
        measured=farthest([step for steps in found.values() for step in steps], 1.0),
        tolerance=2e-5,
        value_in_source=float(printed[0]),
        table=pd.DataFrame({"t": t, "step": found[1.0], "value in source": printed}),
        figure=lambda: curves(t, np.array(found[1.0]), printed),
    )


def curves(t: np.ndarray, steps: np.ndarray, printed: np.ndarray) -> Figure:
    """Plot the steps against a constant gradient."""
    figure, axes = new_figure()
    axes.plot(t, steps, "o-", markersize=4, label="Adam")
    axes.plot(t, printed, "o-", markersize=4, color=COLOURS[1], label="value in source")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(
        xlabel="step t",
        ylabel="way down, in learning rates",
        yscale="symlog",
        xticks=range(0, COUNT + 1, 5),
    )
    axes.legend()
    return figure
