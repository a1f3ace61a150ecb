"""Variational autoencoder: an encoder and a decoder that bound log p(x) from below.

    ELBO = E_q[log p(x | z)] - KL(q(z | x) | N(0, I)),   q(z | x) = N(mu(x), diag v(x))

With no hidden layer and Gaussian data it is factor analysis: the decoder is W z + m,
and the bound is reached once W is turned so that the posterior's covariance is
diagonal.

Source: Deep learning cheat sheet, section 19.2; Kingma and Welling 2014, "Auto-encoding
variational Bayes".
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
    n_code: Size = 8
    "m, the latent variables"

    beta: Annotated[float, Field(gt=0)] = 1.0
    "weight of the KL in the loss; the bound that is scored has 1"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for features as Bernoulli."""
    options = {"code": config.n_code}
    problem = problem_of(config, data, "latent", options, beta=config.beta)
    yield from run(config, problem, state)
