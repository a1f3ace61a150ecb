"""Newton's method on a finite sum: one step per pass. Axes: n samples, d coefficients.

    theta <- theta - t H(theta)^-1 grad g(theta)

t is the first of 1, 1/2, 1/4, ... that lowers g by 1e-4 of the linear prediction: far
from the optimum the full step may overshoot. Near it t = 1 and the number of correct
digits doubles with every step. A step costs O(n d^2 + d^3), a pass of the other solvers
O(n d).

Source: Deep learning cheat sheet, sections 7-9, Newton's method.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, newton_step

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    """No fields of its own."""


def begin(g: FiniteSum, config: Config) -> State:
    return {"theta": np.zeros(g.X.shape[1])}


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after one step."""
    return {"theta": newton_step(g, state["theta"])}


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
