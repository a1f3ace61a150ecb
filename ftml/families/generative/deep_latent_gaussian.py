"""Deep latent Gaussian model: layers of Gaussian variables, the upper ones abstract.

    h_L = G_L e_L,   h_l = T_l(h_{l+1}) + G_l e_l,   p(x | h_1),   e_l ~ N(0, I)

All that is random is e = (e_1, ..., e_L), so that the bound is that of a variational
autoencoder whose code is e: the encoder gives N(mu(x), diag v(x)) for it.

Source: Deep learning cheat sheet, section 19.3, which has a heading only; Rezende,
Mohamed and Wierstra 2014, "Stochastic backpropagation and approximate inference in deep
generative models".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.generative._autoencoder import Size
from ftml.families.generative._figures import latent_figures as figures
from ftml.families.generative._latent import LatentConfig, Model, problem_of
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "generation"
DATA = (Images, Table)


class Config(LatentConfig):
    hidden: Annotated[tuple[Size, ...], Field(min_length=1)] = (128,)
    """units of the encoder's hidden layers; the decoder's are in the reverse order, and
    the maps between layers have the first of them"""

    code: Annotated[tuple[Size, ...], Field(min_length=1)] = (8, 4)
    "variables of each layer, the one next to the data first"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for features as Bernoulli."""
    problem = problem_of(config, data, "deep_latent", {"code": config.code})
    yield from run(config, problem, state)
