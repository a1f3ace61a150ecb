"""SAGA on a finite sum: the unbiased variant of SAG, one step per sample, n per pass.

    theta <- theta - gamma [ (a_i' - a_i) x_i + (1/n) sum_j a_j x_j + mu theta ]
    a_i <- a_i'

Axes: n samples, d coefficients; a_i' is the derivative of the loss of sample i, chosen
uniformly, at x_i'theta, and a_i the one stored at its last visit, 0 before the first.
The mean of the bracket over i is the gradient of g; SAG divides the first term by n,
for less variance and some bias. gamma = 1 / (3 L_max), and the expected distance to the
optimum falls by 1 - min(1/(4n), mu / (3 L_max)) a step.

Source: FTML lecture 9, "SAG" (TP 5), its companion; Defazio, Bach and Lacoste-Julien
(2014), "SAGA: a fast incremental gradient method".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.compiled import compiled
from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, random_indices, steepness

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    step: Annotated[float, Field(gt=0, le=6), LogUniform(0.1, 3.0)] = 1.0
    "step size in units of 1 / (3 L_max), the one with a proof"


@compiled
def descend(
    X: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    slopes: np.ndarray,
    rows: np.ndarray,
    gamma: float,
    mu: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return theta and the memory a (n,) after a step on each of `rows` (n,)."""
    theta, slopes = theta.copy(), slopes.copy()
    mean = np.dot(slopes, X) / len(y)
    for i in rows:
        x, label = X[i], y[i]
        slope = -label * steepness(label * np.dot(x, theta))
        change = slope - slopes[i]
        theta *= 1.0 - gamma * mu
        theta -= gamma * mean
        theta -= (gamma * change) * x
        mean += (change / len(y)) * x
        slopes[i] = slope
    return theta, slopes


def begin(g: FiniteSum, config: Config) -> State:
    n, d = g.X.shape
    return {"theta": np.zeros(d), "slopes": np.zeros(n), "generator": config.seed}


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after n steps."""
    rows, generator = random_indices(state["generator"], len(g.y))
    gamma = config.step / (3.0 * float(g.smoothness_of_each.max()))
    theta, slopes = descend(
        g.X, g.y, state["theta"], state["slopes"], rows, gamma, g.mu
    )
    return {"theta": theta, "slopes": slopes, "generator": generator}


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
