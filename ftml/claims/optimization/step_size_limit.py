"""A step of 2/L is where gradient descent stops converging, not one to use.

    theta_{t+1} - theta* = (I - eta H) (theta_t - theta*):   |1 - eta L| = 1 at 2/L

Where every loss is as curved as it can be at the optimum (rows that come with both
labels: theta* = 0), the steepest direction has the eigenvalue L. The measured value is
what is left of the distance to theta* after 300 steps of 1/L, from 1e-3 along that
direction, up to 1e-6, the square of it, which the next order may move into others. With
the steps of 2/L that the notes offer (mistake 29) it is still whole. (They also call
the rate O(1/t) linear, which it is not: linear is a constant factor.) The table has
other steps. The rows are generated from the seed.

Source: Deep learning cheat sheet, 14.4 ("Usually one value for eta").
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims.optimization._sums import undecided
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import FiniteSum, hessian, make_sum
from ftml.families.optimization.gradient_descent import Config, advance
from ftml.plots import new_figure

MISTAKES = (29,)
SIZES = (0.5, 1.0, 1.5, 1.9, 2.0, 2.1)
"Of steps, in units of 1/L."


def check(seed: int, budget: Budget) -> Evidence:
    """Return what is left of the distance after steps of 1/L, and of 2/L."""
    g = make_sum(undecided(seed), mu=0.1)
    left = {size: distances(g, size) for size in SIZES}
    table = pd.DataFrame(
        [(size, each[10], each[-1]) for size, each in left.items()],
        columns=["step in 1/L", "left after 10 steps", "left after 300 steps"],
    )
    return Evidence(
        expected=0.0,
        measured=float(left[1.0][-1]),
        tolerance=1e-6,
        value_in_source=float(left[2.0][-1]),
        table=table,
        figure=lambda: curves(left),
    )


def distances(g: FiniteSum, size: float) -> np.ndarray:
    """Return |theta_t| / |theta_0| for t = 0 to 300, theta* being zero."""
    steepest = np.linalg.eigh(hessian(g, np.zeros(g.X.shape[1])))[1][:, -1]
    # A step of 2/L and more is refused by the family, for this reason.
    config = Config.model_construct(step=size)
    state, met = {"theta": 1e-3 * steepest}, [1.0]
    for _ in range(300):
        state = advance(g, config, state)
        met.append(float(np.linalg.norm(state["theta"]) / 1e-3))
    return np.array(met)


def curves(left: dict[float, np.ndarray]) -> Figure:
    """Plot the distance over the first sixty steps, for each step size."""
    figure, axes = new_figure(6.4, 4.2)
    for size, each in left.items():
        axes.semilogy(np.maximum(each[:60], 1e-12), label=f"{size} / L")
    axes.set(xlabel="step", ylabel="distance to the optimum, relative")
    figure.legend(title="step size", loc="outside right upper", frameon=False)
    return figure
