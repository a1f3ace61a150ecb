"""Fishr: gradients of the last layer whose variance is the same in every domain.

    L(theta) = L_ERM + penalty (1/S) sum_s |v_s - vbar|^2,   vbar = (1/S) sum_s v_s

v_s holds, for each weight and bias of the head, the variance (with n_s - 1) over the
rows of domain s of that row's own gradient. With features z (h,), p = softmax(W z + b)
and e = p - onehot(y), a row's gradient of the cross-entropy is e z^T for W and e for b.
So the second moments of all its k h entries are one product, E[(e^2) (z^2)^T], and
their means another, E[e z^T]: no gradient of a row is ever stored. The penalty's own
gradient goes through e and z into the whole network.

v_s is averaged over updates, v_s <- ema v_s + (1 - ema) v_s(batch); the gradient goes
through the last term alone. The averages are part of the state. Before `anneal_epochs`
they are followed but not penalised; then the penalty sets in and Adam starts anew, as
in the paper's code (see `run_annealed`).

Departures from that code, which DomainBed holds: it starts the average at zero, here it
starts at the first variance; it divides the average by 1 - ema, divides variances by
n_s, and takes the mean over the P = k (h + 1) entries where the paper's norm is their
sum. So its lambda is (1 - ema)^2 P times the `penalty` here, up to n_s / (n_s - 1): 1.6
times at h = 64, k = 10 and ema = 0.95.

Axes: m rows of a batch, h features, k classes, S >= 2 domains, P entries of the head.

Source: Rame, Dancette and Cord 2022, "Fishr: invariant gradient variances for
out-of-distribution generalization", the loss L_Fishr and its algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import Integers, LogUniform, Uniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import (
    counts,
    domain_products,
    run_annealed,
    squared_deviations,
)
from ftml.families.domain_generalization._training import (
    Batch,
    DomainConfig,
    Model,
    Objective,
    Scalars,
    gradient_of,
)
from ftml.families.domain_generalization.erm import erm_loss

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "domain_generalization"


class Config(DomainConfig):
    penalty: Annotated[float, Field(ge=0), LogUniform(10.0, 1e4)] = 1000.0
    "weight of the distance between variances, from `anneal_epochs` on"

    ema: Annotated[float, Field(ge=0, lt=1), Uniform(0.9, 0.99)] = 0.95
    "weight of the old average of the variances in the new one"

    anneal_epochs: Annotated[int, Field(ge=0), Integers(0, 30)] = 18
    "epochs at the start without the penalty"


def gradient_variances(
    features: Tensor, logits: Tensor, y: Tensor, sizes: tuple[int, ...]
) -> Tensor:
    """Return v_s of each domain, (S, P): for a class its h weights, then its bias.

    features: (m, h). logits: (m, k), the head's outputs for them. y: (m,). sizes: (S,).
    Raises ValueError for a domain of one row.
    """
    n = counts(sizes, like=logits)[:, None, None]
    e = logits.softmax(dim=1) - F.one_hot(y, logits.shape[1])
    z = F.pad(features, (0, 1), value=1.0)  # the bias is the weight of a constant
    mean = domain_products(e, z, sizes)  # (S, k, h + 1)
    second = domain_products(e.square(), z.square(), sizes)
    # A mean gradient is small beside the variance of the rows: little cancels here.
    return ((second - mean.square()) * (n / (n - 1))).flatten(1)


def distance(variances: Tensor) -> Tensor:
    """Return (1/S) sum_s |v_s - vbar|^2 for variances (S, P)."""
    return squared_deviations(variances).sum() / len(variances)


def fishr(*, penalty: float, ema: float) -> Objective:
    """Return the objective L_ERM + penalty * distance of the averaged variances."""

    def objective(
        network: Any, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        features = network.features(batch.x)
        logits = network.head(features)
        now = gradient_variances(features, logits, batch.y, batch.sizes)
        average = ema * memory.get("variances", now.detach()) + (1 - ema) * now
        loss = erm_loss(logits, batch.y, batch.weight)
        extra = distance(average)
        scalars = {"loss": loss + penalty * extra, "penalty": extra}
        return scalars, {"variances": average.detach()}

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_penalty` is the distance, unweighted.

    Raises ValueError for fewer than two domains, and for a domain without two samples.
    """
    yield from run_annealed(
        config,
        data,
        state,
        before=gradient_of(fishr(penalty=0.0, ema=config.ema)),
        after=gradient_of(fishr(penalty=config.penalty, ema=config.ema)),
        anneal_epochs=config.anneal_epochs,
        min_domains=2,
        min_rows=2,
    )
