"""How networks on sequences, text and trees are trained: batches by length.

A family describes its samples by their number and lengths, a network, and the loss of
some samples. `length_problem` makes them a `Problem` of the shared training loop.

Axes: n samples, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.data.ragged import by_length
from ftml.nn.layers import Draw
from ftml.optim.optimizers import adam
from ftml.training import AdamConfig, Context, Problem, RunningMean, Turn


class TrainingConfig(AdamConfig):
    """How a network is trained, by Adam."""

    clip: Annotated[float, Field(gt=0)] | None = 1.0
    "largest norm of a gradient; a longer gradient is scaled down to this norm"

    l2: Annotated[float, Field(ge=0)] = 0.0
    "penalty l2 / 2 sum w^2 on all parameters"

    batch_size: Annotated[int, Field(ge=1)] = 32
    "samples of an update, of nearly the same length"

    n_epochs: Annotated[int, Field(ge=1)] = 20
    "passes over the samples"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    "probability that a unit is dropped in training"


def length_problem(
    config: TrainingConfig,
    lengths: np.ndarray,
    network: Callable[[torch.Generator | None], nn.Module],
    loss: Callable[[Any, np.ndarray, Draw | None], tuple[Tensor, int]],
    model: Callable[[dict[str, Tensor]], Any],
) -> Problem:
    """Return the problem of samples whose batches have nearly the same length.

    lengths: (n,). network: makes the network with random weights. loss: of a network on
    the samples of these indices, the sum of the losses and their number. model: the
    model of the family with these weights.

    `train_loss` is the mean over all losses of an epoch, `train_gradient_norm` the mean
    norm of the gradients before they are clipped.
    """

    def batches(draw: Draw) -> Sequence[np.ndarray]:
        (generator,) = draw.generators
        seed = int(torch.randint(2**62, (), generator=generator))
        rng = np.random.default_rng(seed)
        return by_length(lengths, batch_size=config.batch_size, rng=rng)

    def turns(network: Any, index: np.ndarray, context: Context) -> Iterator[Turn]:
        total, size = loss(network, index, context.draw)
        yield Turn({"loss": total}, loss=total / size, size=size)

    return Problem(
        network=network,
        batches=batches,
        turns=turns,
        optimizer=partial(adam, weight_decay=config.l2),
        model=lambda weights, _: model(weights),
        means=partial(RunningMean, torch.float32),
        metrics=frozenset({"gradient_norm"}),
        schedule=config.schedule,
        clip=config.clip,
    )
