"""CORAL: features whose mean and covariance are the same in every domain.

    L(theta) = L_ERM + penalty (1 / (S (S - 1) / 2)) sum_{s < t} D(s, t),
    D(s, t) = (1/h) |m_s - m_t|^2 + (1/h^2) |C_s - C_t|_F^2

m_s (h,) and C_s (h, h) are the mean and the covariance (with n_s - 1) of the last
hidden layer over the rows of domain s. The sum over pairs costs S terms, not S^2:
sum_{s < t} |a_s - a_t|^2 = S sum_s |a_s - abar|^2, so that the mean over pairs is twice
the variance over domains (with S - 1), summed over coordinates.

This is DomainBed's version. The paper aligns the covariances of one source and one
target, with the factor 1 / (4 h^2), and not the means; DomainBed adds the means, drops
the 4, and takes all pairs of training domains, because there is no target. Its
1 / h and 1 / h^2 keep the penalty's size from depending on the width. A batch's
covariance is noisy where h is larger than B, and its noise is penalised too.

The features are those that the head is given. A linear model (an MLP with `hidden: []`)
has only its inputs, which no weight moves: the penalty would be a constant and the
family ERM under another name, so this is refused.

Axes: m rows of a batch, h features, S >= 2 domains.

Source: Sun and Saenko 2016, "Deep CORAL: correlation alignment for deep domain
adaptation", equation 1; Gulrajani and Lopez-Paz 2021, "In search of lost domain
generalization", for pairs of domains and the means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import (
    counts,
    domain_means,
    domain_products,
    squared_deviations,
    to_rows,
)
from ftml.families.domain_generalization._training import (
    Batch,
    DomainConfig,
    Model,
    Objective,
    Scalars,
    gradient_of,
    run,
)
from ftml.families.domain_generalization.erm import erm_loss

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    penalty: Annotated[float, Field(ge=0), LogUniform(1e-1, 1e2)] = 1.0
    "weight of the distance between the domains' features"

    @field_validator("hidden")
    @classmethod
    def _has_features(
        cls, hidden: tuple[int, ...], info: ValidationInfo
    ) -> tuple[int, ...]:
        if not hidden and info.data.get("network") == "mlp":
            raise ValueError("expected one layer or more, whose features are aligned")
        return hidden


def distance(features: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the mean of D(s, t) over the pairs of domains, a scalar.

    features: (m, h). sizes: (S,), S >= 2. Raises ValueError for a domain of one row.
    """
    n = counts(sizes, like=features)
    means = domain_means(features, sizes)  # (S, h)
    centred = features - to_rows(means, sizes)
    covariances = domain_products(centred, centred, sizes)  # (S, h, h)
    covariances = covariances * (n / (n - 1))[:, None, None]
    S = len(sizes)
    return (
        2
        * S
        / (S - 1)
        * (squared_deviations(means).mean() + squared_deviations(covariances).mean())
    )


def coral(*, penalty: float) -> Objective:
    """Return the objective L_ERM + penalty * distance."""

    def objective(
        network: Any, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        features = network.features(batch.x)
        loss = erm_loss(network.head(features), batch.y, batch.weight)
        extra = distance(features, batch.sizes)
        return {"loss": loss + penalty * extra, "penalty": extra}, memory

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_penalty` is the distance, unweighted.

    Raises ValueError for fewer than two domains, and for a domain without two samples.
    """
    direction = gradient_of(coral(penalty=config.penalty))
    yield from run(config, data, state, direction, min_domains=2, min_rows=2)
