"""Tied autoencoder: the linear autoencoder whose decoder is the encoder's transpose.

    R = (1 / 2n) sum_i |x_i - c - C' C (x_i - c)|^2,   z = C (x - c),   c the mean

With D = C' the A of C = A U_m' must be orthogonal: at the least of R the rows of C are
orthonormal, and the codes are those of PCA but for a rotation.

Source: Deep learning cheat sheet, section 17.2.1, "Linear Autoencoder with Coupled
Weights".
"""

from __future__ import annotations

from collections.abc import Iterator

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import AutoencoderConfig, Model, problem_of
from ftml.families.generative.linear_autoencoder import set_center
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(AutoencoderConfig):
    """How it is trained; it has no other layer."""


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    problem = problem_of(
        config, data, "linear", lambda inputs: {"tied": True}, prepare=set_center
    )
    yield from run(config, problem, state)
