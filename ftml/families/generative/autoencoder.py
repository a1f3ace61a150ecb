"""Autoencoder: dense layers to a code, and back, with an L2 penalty on the code.

    z = G(x),  x' = H(z),   R = (1 / 2n) sum |x - x'|^2 + code_l2 (1 / n) sum |z|^2

The bottleneck, or the penalty, keeps it from the identity; compressing is a proxy, the
code is what is wanted. Pixels are from 0 to 1, features are scaled.

Source: Deep learning cheat sheet, sections 17.2.2 and 17.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import (
    DenseConfig,
    Model,
    Size,
    dense,
    problem_of,
)
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(DenseConfig):
    hidden: tuple[Size, ...] = (64,)
    "units of the encoder's hidden layers; the decoder's are in the reverse order"

    code_l2: Annotated[float, Field(ge=0)] = 0.0
    "penalty on the mean squared length of the codes"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def penalty(network: Any, x: Tensor, z: Tensor) -> Tensor:
        return config.code_l2 * z.square().sum(dim=1).mean()

    problem = problem_of(config, data, "dense", dense(config), penalty=penalty)
    yield from run(config, problem, state)
