"""Convolutional autoencoder: convolutions to the code, transposed convolutions back.

    z = G(x),   x' = H(z),   R = (1 / 2n) sum |x - x'|^2

With W the matrix of a convolution of stride 2, an image is halved by W x and doubled by
W' z: zeros between the entries of z and around them, and the filter turned (mistakes 8
and 9).

Source: Deep learning cheat sheet, section 17.2; Exam solutions, "Convolutional NN
(2021)".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ftml.core import State, Step
from ftml.data import Images, Splits
from ftml.families.generative._autoencoder import (
    AutoencoderConfig,
    Model,
    Size,
    problem_of,
)
from ftml.nn.inputs import Inputs, check_images
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "representation"
DATA = (Images,)


class Config(AutoencoderConfig):
    width: Size = 8
    "channels next to the pixels; twice as many further in"


def train(
    config: Config, data: Splits[Images], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for data that are no images."""
    check_images(data.train)

    def options(inputs: Inputs) -> Mapping[str, object]:
        return {"width": config.width}

    yield from run(config, problem_of(config, data, "convolutional", options), state)
