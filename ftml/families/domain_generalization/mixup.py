"""Mixup across domains: rows of two domains, and their labels, mixed.

    x~ = lam x_i + (1 - lam) x_j,   lam ~ Beta(alpha, alpha),
    l~ = lam l(x~, y_i) + (1 - lam) l(x~, y_j)

Each update orders the domains at random in a circle and mixes each with the next, with
a lam of its own, as DomainBed's inter-domain Mixup does: so every domain is once the
first and once the second, and all count the same. One domain alone is mixed with
itself, which is the paper's Mixup.

Departures: the paper mixes within one pooled set, with one lam for a batch. DomainBed
pairs rows by their place in the batch and cuts the larger domain; here each row draws
its partner from the other domain's rows, so that whole domains of any size can be mixed
(`batch_size: null`) and no row is left out. DomainBed searches alpha over 10^U(-1, -1),
which is 0.1 always. Features are mixed after scaling.

Axes: m rows of a batch, d features, S domains.

Source: Zhang, Cisse, Dauphin and Lopez-Paz 2018, "mixup: beyond empirical risk
minimization", section 2; pairs of domains as in Gulrajani and Lopez-Paz 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import sent, to_rows
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
    alpha: Annotated[float, Field(gt=0), LogUniform(0.05, 2.0)] = 0.2
    "of Beta(alpha, alpha): near 0 hardly any mixing, at 1 a uniform share"


def draw_shares(S: int, *, alpha: float, generator: torch.Generator) -> Tensor:
    """Return S random numbers from Beta(alpha, alpha), float64 in [0, 1].

    torch draws from Beta only with its global generator, so numpy does, each time from
    a seed that `generator` draws: the generator's state is then all there is to save.
    """
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, S))


def draw_partners(sizes: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return the row that each row is mixed with, (m,): one of the next domain's.

    The next domain is that of a random circle through all S.
    """
    order = torch.randperm(len(sizes), generator=generator)
    following = torch.empty_like(order)
    following[order] = order.roll(-1)
    n = torch.tensor(sizes)
    first, count = n.cumsum(0) - n, n
    place = torch.rand(sum(sizes), generator=generator, dtype=torch.float64)
    place = place * to_rows(count[following], sizes)
    return to_rows(first[following], sizes) + place.long()


def mixed_loss(
    network: nn.Module, batch: Batch, share: Tensor, partner: Tensor
) -> Tensor:
    """Return the mean over domains of the mean l~; with shares of one it is L_ERM.

    share: (m,), lam of each row. partner: (m,), the row that it is mixed with.
    """
    lam = share.view(-1, *[1] * (batch.x.ndim - 1))  # (m, 1), or (m, 1, 1, 1)
    logits = network(lam * batch.x + (1 - lam) * batch.x[partner])
    return erm_loss(logits, batch.y, batch.weight * share) + erm_loss(
        logits, batch.y[partner], batch.weight * (1 - share)
    )


def mixup(*, alpha: float) -> Objective:
    """Return the objective that mixes each batch anew."""

    def objective(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        partner = draw_partners(batch.sizes, generator)
        shares = draw_shares(len(batch.sizes), alpha=alpha, generator=generator)
        share = to_rows(shares.to(batch.x.dtype), batch.sizes)
        partner, share = (sent(each, batch.x.device) for each in (partner, share))
        return {"loss": mixed_loss(network, batch, share, partner)}, memory

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for a domain without samples."""
    yield from run(config, data, state, gradient_of(mixup(alpha=config.alpha)))
