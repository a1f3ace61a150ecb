"""IRMv1: one classifier that is optimal, in its scale, in every domain.

    L(theta) = (1/S) sum_s [ L_s(theta) + penalty g_s(theta)^2 ],
    g_s = d L_s(w f_theta) / dw at w = 1

w scales the logits z = f_theta(x). For the cross-entropy the derivative has a closed
form, so that no graph of a gradient is built: with p = softmax(z),

    g_s = E_{(x, y) in D_s}[d(x, y)],   d = sum_j p_j z_j - z_y.

The square of a batch's mean is biased upward by its variance, Var(d) / B, which would
shrink the logits rather than align the domains. So g_s^2 is estimated by the mean of
d_i d_j over all pairs i != j of a domain's rows. It is unbiased as is the product of
the means of two half-batches (the paper, DomainBed), and is the mean of
that product over all ways to halve, so its variance is no larger. It may be negative.
With `batch_size: null` the whole domains are there, and the plain square is exact.

Before `anneal_epochs` the penalty is 1; then it is `penalty`, and Adam starts anew (see
`run_annealed`). Departures: the paper sums over domains where this takes the mean, so
that penalty 0 is ERM; its code divides the loss by a penalty above 1, here Adam does
not mind the scale, but weight decay is then weaker in proportion.

A penalty too early or too large ends in logits that say nothing, where g_s is zero too.
Training accuracy on the rotated digits (75 degrees left out, 60 epochs of 4 updates, 3
seeds; ERM 0.94): penalty 10 from epoch 30 0.86, from epoch 6 0.53; penalty 100 from
epoch 30 0.82, from the start 0.19, and there 0.02 by the plain square of batches. Hence
the defaults; DomainBed's are 100 and a tenth of 5,000 updates.

Axes: m rows of a batch, k classes, S domains, n_s rows of domain s.

Source: Arjovsky, Bottou, Gulrajani and Lopez-Paz 2019, "Invariant risk minimization",
equation (IRMv1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.config import Integers, LogUniform
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._penalties import (
    counts,
    domain_means,
    run_annealed,
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
    penalty: Annotated[float, Field(ge=0), LogUniform(1e-1, 1e5)] = 10.0
    "weight of the squared gradients, from `anneal_epochs` on"

    anneal_epochs: Annotated[int, Field(ge=0), Integers(0, 60)] = 30
    "epochs at the start in which that weight is 1"


def scale_gradients(logits: Tensor, y: Tensor) -> Tensor:
    """Return d = sum_j p_j z_j - z_y of each row, (m,), for logits (m, k)."""
    expected = (logits.softmax(dim=1) * logits).sum(dim=1)
    return expected - logits.gather(1, y[:, None]).squeeze(1)


def invariance(
    logits: Tensor, y: Tensor, sizes: tuple[int, ...], *, sampled: bool
) -> Tensor:
    """Return the mean over the domains of g_s^2, a scalar.

    logits: (m, k). y: (m,). sizes: (S,). sampled: whether the rows are draws from their
    domains, whose g_s^2 is then estimated without bias from pairs of rows, else the
    domains themselves. Raises ValueError for a domain of one row, which has no pair.
    """
    d = scale_gradients(logits, y)
    squares = domain_means(d, sizes).square()
    if sampled:
        n = counts(sizes, like=d)
        squares = (n * squares - domain_means(d.square(), sizes)) / (n - 1)
    return squares.mean()


def irm(*, penalty: float, sampled: bool) -> Objective:
    """Return the objective L_ERM + penalty * invariance."""

    def objective(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, State]:
        logits = network(batch.x)
        loss = erm_loss(logits, batch.y, batch.weight)
        extra = invariance(logits, batch.y, batch.sizes, sampled=sampled)
        return {"loss": loss + penalty * extra, "penalty": extra}, memory

    return objective


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_penalty` is the mean of g_s^2, unweighted.

    Raises ValueError for a domain without samples.
    """
    sampled = config.batch_size is not None
    yield from run_annealed(
        config,
        data,
        state,
        before=gradient_of(irm(penalty=1.0, sampled=sampled)),
        after=gradient_of(irm(penalty=config.penalty, sampled=sampled)),
        anneal_epochs=config.anneal_epochs,
    )
