"""Sparse autoencoder: a code of many numbers, few of them above 0.

    R = (1 / 2n) sum |x - x'|^2 + sparsity (1 / n) sum |z|_1,   z = relu(G(x))

The code may be longer than the row (overcomplete): the penalty and not the bottleneck
keeps it from the identity. Large weights of the decoder would make the penalty void,
so that they are penalised as well, by decoder_l2 / 2 |W|^2.

Source: Deep learning cheat sheet, section 17.2.3, "Code Sparseness".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from ftml.config import LogUniform
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
    n_code: Size = 64
    "m, dimension of the code of a row; most of its entries are 0"

    hidden: tuple[Size, ...] = ()
    "units of the encoder's hidden layers; the decoder's are in the reverse order"

    sparsity: Annotated[float, Field(ge=0), LogUniform(1e-4, 1e-1)] = 1e-2
    "penalty on the sum of the code's numbers"

    decoder_l2: Annotated[float, Field(ge=0)] = 1e-3
    "penalty decoder_l2 / 2 sum w^2 on the decoder's weights"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def penalty(network: Any, x: Tensor, z: Tensor) -> Tensor:
        weights = [layer.weight.square().sum() for layer in network.decoder.layers]
        decay = 0.5 * config.decoder_l2 * sum(weights)
        return config.sparsity * z.sum(dim=1).mean() + decay

    options = dense(config, code_activation="relu")
    problem = problem_of(config, data, "dense", options, penalty=penalty)
    yield from run(config, problem, state)
