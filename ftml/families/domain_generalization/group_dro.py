"""GroupDRO: the domains' losses weighted so that the worst domain counts most.

    min_theta max_q sum_s q_s L_s(theta),   q on the simplex

by steps of both players: q_s <- q_s exp(eta L_s) / sum_t q_t exp(eta L_t), then a step
of Adam along the gradient of sum_s q_s L_s. The q, which start equal, are part of the
state. With eta = 0 they stay equal and this is ERM; a large eta follows the domain that
is worst now.

Departures from the paper's algorithm 1: each update moves all q_s, by the mean loss of
B rows of each domain, where the paper draws one domain and moves only its q (with the
losses of all, as DomainBed does, it is the same ascent with less noise); Adam instead
of SGD; no adjustment C / sqrt(n_s) for the size of a domain. The paper needs strong
weight decay or early stopping to differ from ERM in large networks, for once all
training losses vanish there is no worst domain.

Axes: m rows of a batch, k classes, S domains.

Source: Sagawa, Koh, Hashimoto and Liang 2020, "Distributionally robust neural networks
for group shifts", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import to_rows
from ftml.families.domain_generalization._training import (
    Batch,
    DomainConfig,
    Model,
    Objective,
    Scalars,
    domain_losses,
    gradient_of,
    run,
)
from ftml.families.domain_generalization.erm import erm_loss

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    eta: Annotated[float, Field(ge=0), LogUniform(1e-3, 1.0)] = 1e-2
    "step size of the weights of the domains, in 1 / nat"


def raised(log_q: Tensor, losses: Tensor, *, eta: float) -> Tensor:
    """Return the logarithms of q_s exp(eta L_s), normalised, (S,) float64.

    log_q, losses: (S,). Kept as logarithms, so that no q underflows for good.
    """
    return torch.log_softmax(log_q + eta * losses.detach().double(), dim=0)


def group_dro(*, eta: float) -> Objective:
    """Return the objective sum_s q_s L_s, with the q raised first."""

    def objective(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        logits, S = network(batch.x), len(batch.sizes)
        losses = domain_losses(logits, batch)
        start = torch.zeros(S, dtype=torch.float64, device=losses.device)
        log_q = raised(memory.get("log_q", start), losses, eta=eta)
        # S q_s on the weights 1 / (S n_s) of ERM; float32 holds a ratio of one exactly.
        ratio = to_rows((S * log_q.exp()).to(logits.dtype), batch.sizes)
        scalars = {
            "loss": erm_loss(logits, batch.y, ratio * batch.weight),
            "worst_loss": losses.max(),
            "largest_weight": log_q.max().exp().to(logits.dtype),
        }
        return scalars, {"log_q": log_q}

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_worst_loss` is max_s L_s of a batch, and
    `train_largest_weight` max_s q_s. Raises ValueError for a domain without samples.
    """
    yield from run(config, data, state, gradient_of(group_dro(eta=config.eta)))
