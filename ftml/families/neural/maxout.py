"""Maxout network: a hidden unit is the maximum of several affine maps.

    h_j(x) = max_{i in A_j} (w_i' x + b_i)

Each unit is convex and piecewise linear; the difference of two such units approximates
any continuous function. ReLU and the absolute value are maxout units of two pieces.

Source: Deep learning cheat sheet, section 10.5.5; Goodfellow et al. 2013, "Maxout
networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.neural._config import DropoutConfig, Rate
from ftml.families.neural._model import Model
from ftml.families.neural._problem import classification
from ftml.nn.inputs import Inputs, n_inputs
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "classification"
DATA = (Table, Images)


class Config(DropoutConfig):
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (32,)
    "units of each hidden layer"

    n_pieces: Annotated[int, Field(ge=2)] = 3
    "affine maps that a unit is the maximum of"

    input_dropout: Rate = 0.0
    "probability that an input is dropped in training"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "sizes": (n_inputs(inputs), *config.hidden, k),
            "n_pieces": config.n_pieces,
            "input_dropout": config.input_dropout,
            "hidden_dropout": config.hidden_dropout,
        }

    yield from run(config, classification(config, data, "mlp", options), state)
