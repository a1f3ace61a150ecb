"""Gradient descent on a finite sum: one step per pass. Axes: n samples, d coefficients.

    theta <- theta - (step / L) grad g(theta)

(The notes drop the iteration on the right: mistake 11.) At step = 1 the gap is at most
L |theta_0 - theta*|^2 / (2t), and at most (1 - mu/L)^t times the first one, at every t:
exp(-t / kappa). From step = 2 on it may diverge.

Source: FTML lecture 9, "Gradient descent".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.config import Uniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, gradient

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    step: Annotated[float, Field(gt=0, lt=2), Uniform(0.2, 1.9)] = 1.0
    "step size in units of 1/L"


def begin(g: FiniteSum, config: Config) -> State:
    return {"theta": np.zeros(g.X.shape[1])}


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after one step."""
    theta = state["theta"]
    return {"theta": theta - config.step / g.smoothness * gradient(g, theta)}


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
