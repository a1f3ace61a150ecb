"""Stochastic gradient descent on a finite sum: n steps per pass, each with one sample.

    theta <- theta - gamma_t grad g_i(theta),   i uniform

Axes: n samples, d coefficients, t steps from 0. The mean of grad g_i over i is grad g.
The schedules, L_max being the largest L_i:

    constant    gamma_t = step / L_max: fast, then a ball around the optimum
    decreasing  gamma_t = 1 / (mu t + L_max / step): expected gap O(1/t)
    averaged    gamma_t = step / L_max, and the mean of all theta so far (Polyak)

Source: FTML lecture 9, "SGD", (16); averaging: Polyak and Juditsky (1992),
"Acceleration of stochastic approximation by averaging".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ftml.compiled import compiled
from ftml.config import Choice, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, random_indices, steepness

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    schedule: Annotated[
        Literal["constant", "decreasing", "averaged"],
        Choice("constant", "decreasing", "averaged"),
    ] = "averaged"
    "how step sizes change, and whether iterates are averaged"

    step: Annotated[float, Field(gt=0, le=2), LogUniform(1e-2, 1.0)] = 0.5
    "the first step size, in units of 1/L_max"


@compiled
def descend(
    X: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    mean: np.ndarray,
    rows: np.ndarray,
    sizes: np.ndarray,
    shares: np.ndarray,
    mu: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return theta and the mean of iterates after a step on each of `rows` (n,).

    sizes: (n,) step sizes. shares: (n,) the weight of each new iterate in the mean.
    """
    theta, mean = theta.copy(), mean.copy()
    for t in range(len(rows)):
        x, label = X[rows[t]], y[rows[t]]
        slope = -label * steepness(label * np.dot(x, theta))
        theta *= 1.0 - sizes[t] * mu
        theta -= sizes[t] * slope * x
        mean += shares[t] * (theta - mean)
    return theta, mean


def begin(g: FiniteSum, config: Config) -> State:
    zero = np.zeros(g.X.shape[1])
    return {"theta": zero, "mean": zero, "generator": config.seed}


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after n steps."""
    n = len(g.y)
    rows, generator = random_indices(state["generator"], n)
    t = state["n"] * n + np.arange(n)
    first = float(g.smoothness_of_each.max()) / config.step
    decreasing = config.schedule == "decreasing"
    sizes = 1.0 / (g.mu * t + first) if decreasing else np.full(n, 1.0 / first)
    theta, mean = descend(
        g.X, g.y, state["theta"], state["mean"], rows, sizes, 1.0 / (t + 1.0), g.mu
    )
    answer = mean if config.schedule == "averaged" else theta
    return {"theta": theta, "mean": mean, "generator": generator, "answer": answer}


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
