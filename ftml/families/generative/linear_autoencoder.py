"""Linear autoencoder: two linear maps, which find the plane of principal components.

    R = (1 / 2n) sum_i |x_i - c - D C (x_i - c)|^2,   z = C (x - c),   c the mean

C (m, d) and D (d, m) have m d numbers each, and D C no more than rank m: at its least,
R is that of PCA, with D = U_m A^-1 and C = A U_m' for any invertible A (Eckart and
Young). The rows are centred (mistake 44). R is no convex function, but has no other
minimum.

Source: Deep learning cheat sheet, section 17.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import AutoencoderConfig, Model, problem_of
from ftml.nn.inputs import as_float
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "set_center", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(AutoencoderConfig):
    """How it is trained; it has no other layer."""


def set_center(network: Any, x: Tensor) -> None:
    """Put the mean of the rows into a network."""
    network.center.copy_(as_float(x).flatten(1).mean(dim=0))


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    problem = problem_of(
        config, data, "linear", lambda inputs: {"tied": False}, prepare=set_center
    )
    yield from run(config, problem, state)
