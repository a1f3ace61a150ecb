"""Empirical risk minimisation over domains: the mean of the domains' mean losses.

    L_ERM(theta) = (1/S) sum_s E_{(x, y) in D_s}[l(x, y; theta)],   l = cross-entropy

Axes: n samples, d features, k classes, S domains, B batch of each domain. Every domain
counts the same, however large: this is not the mean over the pooled samples, which
agrees only where all domains have one size. Each update draws B samples of every
domain, with replacement, so that its gradient is unbiased for that of L_ERM; then a
step of Adam. The network is an MLP on scaled features or on pixels, or a CNN or ResNet
on images (`_model.py`).

Source: Exam solutions, "Domain generalization (2023)", the loss L_ERM.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._training import (
    Batch,
    DomainConfig,
    Model,
    Scalars,
    gradient_of,
    run,
)

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    """The fields of every family of the chapter."""


def erm_loss(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return sum_i weight_i l_i, which is L_ERM for the weights of a `Batch`."""
    return weight @ F.cross_entropy(logits, y, reduction="none")


def objective(
    network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
) -> tuple[Scalars, State]:
    """Return L_ERM; it has no memory and uses no random numbers."""
    return {"loss": erm_loss(network(batch.x), batch.y, batch.weight)}, memory


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for a domain without samples."""
    yield from run(config, data, state, gradient_of(objective))
