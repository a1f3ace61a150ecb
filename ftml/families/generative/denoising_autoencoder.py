"""Denoising autoencoder: rows are rebuilt from what noise has left of them.

    R = (1 / 2n) sum E |x - H(G(x + e))|^2,   e ~ N(0, noise^2 I)

It works where |x - H(G(x + e))|^2 < |x - (x + e)|^2: less is wrong after than before.
New noise is added at every update; none is added where the model describes rows.

Source: Deep learning cheat sheet, section 17.2.4; Vincent et al. 2010, "Stacked
denoising autoencoders".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import (
    DenseConfig,
    Model,
    dense,
    problem_of,
)
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "train"]

TASK = "representation"
DATA = (Images, Table)


class Config(DenseConfig):
    noise: Annotated[float, Field(gt=0)] = 0.3
    "standard deviation of the noise, for pixels from 0 to 1 or scaled features"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    problem = problem_of(config, data, "dense", dense(config), noise=config.noise)
    yield from run(config, problem, state)
