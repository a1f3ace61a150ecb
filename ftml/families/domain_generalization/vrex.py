"""V-REx: the mean of the domains' losses and their variance.

    L(theta) = (1/S) sum_s L_s + penalty (1/S) sum_s (L_s - Lbar)^2,
    Lbar = (1/S) sum_s L_s

Before `anneal_epochs` the penalty is 1; then it is `penalty`, and Adam starts anew (see
`run_annealed`), as in DomainBed.

Departures: the paper has the sum of the losses where this has the mean, so that penalty
0 is ERM; its beta is S times `penalty`. The losses are those of B rows of each domain,
so that their variance is biased upward by (1 - 1/S) Var(l) / B, as in DomainBed;
`batch_size: null` has no such bias. A large penalty makes the losses equal by raising
the small ones too, which the paper accepts.

Axes: m rows of a batch, k classes, S >= 2 domains.

Source: Krueger et al. 2021, "Out-of-distribution generalization via risk extrapolation
(REx)", the objective R_V-REx.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from ftml.config import Integers, LogUniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import run_annealed
from ftml.families.domain_generalization._training import (
    Batch,
    DomainConfig,
    Model,
    Objective,
    Scalars,
    domain_losses,
    gradient_of,
)
from ftml.families.domain_generalization.erm import erm_loss

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    penalty: Annotated[float, Field(ge=0), LogUniform(1e-1, 1e4)] = 10.0
    "weight of the variance of the losses, from `anneal_epochs` on, in 1 / nat"

    anneal_epochs: Annotated[int, Field(ge=0), Integers(0, 30)] = 6
    "epochs at the start in which that weight is 1"


def vrex(*, penalty: float) -> Objective:
    """Return the objective L_ERM + penalty * variance of the domains' losses."""

    def objective(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        logits = network(batch.x)
        loss = erm_loss(logits, batch.y, batch.weight)
        variance = domain_losses(logits, batch).var(correction=0)
        return {"loss": loss + penalty * variance, "penalty": variance}, memory

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_penalty` is the variance, unweighted.

    Raises ValueError for fewer than two domains and for a domain without samples.
    """
    yield from run_annealed(
        config,
        data,
        state,
        before=gradient_of(vrex(penalty=1.0)),
        after=gradient_of(vrex(penalty=config.penalty)),
        anneal_epochs=config.anneal_epochs,
        min_domains=2,
    )
