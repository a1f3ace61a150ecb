"""Generative adversarial network: a generator and a discriminator.

    min_G max_D E_x log D(x) + E_z log (1 - D(G(z)))

Both are dense. The model has samples and no density.

Source: Deep learning cheat sheet, section 19.4; Goodfellow et al. 2014, "Generative
adversarial nets".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._adversarial import AdversarialConfig, Model, problem_of
from ftml.families.generative._autoencoder import Size
from ftml.families.generative._figures import adversarial_figures as figures
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "generation"
DATA = (Images, Table)


class Config(AdversarialConfig):
    hidden: Annotated[tuple[Size, ...], Field(min_length=1)] = (128, 128)
    "units of the generator's hidden layers; the discriminator's in the reverse order"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    yield from run(config, problem_of(config, data, {"hidden": config.hidden}), state)
