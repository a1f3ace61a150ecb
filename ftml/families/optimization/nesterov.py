"""Nesterov's accelerated gradient on a strongly convex sum: one step per pass.

    theta_{t+1} = v_t - (1/L) grad g(v_t)
    v_{t+1} = theta_{t+1} + beta (theta_{t+1} - theta_t),
    beta = (1 - sqrt(mu/L)) / (1 + sqrt(mu/L)),   v_0 = theta_0

Axes: n samples, d coefficients. (The notes have the momentum's sign and order wrong:
mistake 33.) At every t the gap is at most (1 - sqrt(mu/L))^t times the first one plus
(mu/2) |theta_0 - theta*|^2: the square root of gradient descent's condition number.

Source: Deep learning cheat sheet, 14.9; the constant beta and its bound: Nesterov
(2004), "Introductory lectures on convex optimization", section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, gradient

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    """No fields of its own: step and momentum follow from L and mu."""


def begin(g: FiniteSum, config: Config) -> State:
    zero = np.zeros(g.X.shape[1])
    return {"theta": zero, "ahead": zero}


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after one step."""
    L = g.smoothness
    root = np.sqrt(g.mu / L)
    theta = state["ahead"] - gradient(g, state["ahead"]) / L
    momentum = (1 - root) / (1 + root)
    return {"theta": theta, "ahead": theta + momentum * (theta - state["theta"])}


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
