"""Generative adversarial network of images: transposed convolutions, and convolutions.

The generator doubles the sides of its maps twice, each time by a transposed
convolution; the discriminator halves them, its hidden units leaking a fifth below 0.

Source: Deep learning cheat sheet, section 19.4; Exam solutions, "Convolutional NN
(2021)"; Radford, Metz and Chintala 2016, "Unsupervised representation learning with
deep convolutional generative adversarial networks".
"""

from __future__ import annotations

from collections.abc import Iterator

from ftml.core import State, Step
from ftml.data import Images, Splits
from ftml.families.generative._adversarial import AdversarialConfig, Model, problem_of
from ftml.families.generative._autoencoder import Size
from ftml.families.generative._figures import adversarial_figures as figures
from ftml.nn.inputs import check_images
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "generation"
DATA = (Images,)


class Config(AdversarialConfig):
    width: Size = 16
    "channels next to the pixels; twice as many further in"


def train(
    config: Config, data: Splits[Images], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for data that are no images."""
    check_images(data.train)
    yield from run(config, problem_of(config, data, {"width": config.width}), state)
