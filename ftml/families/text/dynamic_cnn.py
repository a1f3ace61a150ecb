"""Dynamic convolutional network: pooling keeps more of a longer text.

Layers of wide convolutions along each row of the vectors; two rows are folded into one;
of each row the k largest answers stay, in their order, where after layer l of L

    k = max(k_top, ceil((L - l) / L T)),   k_top after the last

so that a filter further up sees words that stood far apart. T is the length of the
text.

Source: Deep learning cheat sheet, section 15.2.2; Kalchbrenner et al. 2014, "A
convolutional neural network for modelling sentences".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.families.sequence._classifier import Model
from ftml.families.text._networks import TextConfig, figures, text_problem
from ftml.nn.text_networks import halvings
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "classification"
DATA = (Sequences,)


class Config(TextConfig):
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (
        7,
        5,
    )
    "words that a filter sees, layer by layer"

    channels: Annotated[int, Field(ge=1)] = 6
    "maps of a layer"

    k_top: Annotated[int, Field(ge=1)] = 4
    "answers that stay after the last layer"


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; ValueError for sequences that are no texts,
    and for vectors that cannot be folded so often.
    """
    if halvings(config.dimension) < len(config.widths):
        raise ValueError(
            f"dimension {config.dimension} cannot be halved in each of "
            f"{len(config.widths)} layers"
        )
    problem = text_problem(config, data.train, "dynamic_cnn", k_top=config.k_top)
    yield from run(config, problem, state)
