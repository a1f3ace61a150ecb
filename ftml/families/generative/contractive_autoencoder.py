"""Contractive autoencoder: a code that changes little where the row does.

    R = (1 / 2n) sum |x - x'|^2 + contraction (1 / n) sum |dz / dx|_F^2
    z = s(W x + b):   |dz / dx|_F^2 = sum_j (z_j (1 - z_j))^2 |W_j|^2

One layer of sigmoids, of whose Jacobian the closed form is known; it generalises weight
decay, which it is where the units are linear.

Source: Deep learning cheat sheet, section 17.2.3; Rifai et al. 2011, "Contractive
auto-encoders".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import (
    AutoencoderConfig,
    Model,
    Size,
    problem_of,
)
from ftml.nn.inputs import Inputs
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "squared_jacobian", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(AutoencoderConfig):
    n_code: Size = 32
    "m, the sigmoids that describe a row"

    contraction: Annotated[float, Field(ge=0), LogUniform(1e-4, 1e-1)] = 1e-2
    "penalty on the squared norm of the code's Jacobian"


def squared_jacobian(z: Tensor, W: Tensor) -> Tensor:
    """Return |dz / dx|_F^2 of each row, (B,), for z = s(W x + b), (B, m), W (m, d)."""
    return (z * (1 - z)).square() @ W.square().sum(dim=1)


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def options(inputs: Inputs) -> Mapping[str, object]:
        return {"code_activation": "sigmoid", "pixels": inputs.scaling is None}

    def penalty(network: Any, x: Tensor, z: Tensor) -> Tensor:
        found = squared_jacobian(z, network.encoder.head.weight)
        return config.contraction * found.mean()

    problem = problem_of(config, data, "dense", options, penalty=penalty)
    yield from run(config, problem, state)
