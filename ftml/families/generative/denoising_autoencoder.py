"""Denoising autoencoder: rows are rebuilt from what noise has left of them.

    R = (1 / 2n) sum E |x - H(G(x + e))|^2,   e ~ N(0, noise^2 I)

It works where |x - H(G(x + e))|^2 < |x - (x + e)|^2: less is wrong after than before.
Noise is drawn anew at every update; none is added where the model describes rows.

Source: 004_df1c07f69d89a0c0.txt, section 17.2.4; Vincent et al. 2010, "Stacked
denoising autoencoders".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import (
    AutoencoderConfig,
    Model,
    Size,
    problem_of,
)
from ftml.families.generative._model import Inputs
from ftml.families.generative._training import run
from ftml.nn.activations import Activation

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(AutoencoderConfig):
    hidden: tuple[Size, ...] = (128,)
    "units of the encoder's hidden layers; the decoder's are in the reverse order"

    activation: Activation = "relu"
    "of the hidden units"

    noise: Annotated[float, Field(gt=0)] = 0.3
    "deviation of the noise, of pixels from 0 to 1 or of scaled features"


def train(
    config: Config, data: Splits[Any], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def options(inputs: Inputs) -> Mapping[str, Any]:
        return {
            "hidden": config.hidden,
            "activation": config.activation,
            "pixels": inputs.scaling is None,
        }

    problem = problem_of(config, data, "dense", options, noise=config.noise)
    yield from run(config, problem, state)
