"""What the training loop is given: everything that differs between chapters.

An epoch is a sequence of updates, one for each batch. An update consists of one or more
turns. The loop takes the optimizer step of a turn before it asks for the next turn.

Axes: M entries of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ftml.core import State
from ftml.nn.layers import Draw
from ftml.optim.optimizers import MakeOptimizer
from ftml.optim.schedules import Schedule
from ftml.training.metrics import MeanOfUpdates, Means, Scalars

Weights = Mapping[str, Tensor]
"Parameters and buffers by name; (M, ...) for a stack."


@dataclass(frozen=True)
class Context:
    """What a turn may use besides the network and its batch."""

    draw: Draw
    "random numbers from the generators of the run"

    memory: State
    "what the turns carry from one update to the next; empty at the first update"

    epoch: int
    "number of the epoch, counted from 1"


@dataclass(frozen=True)
class Turn:
    """One optimizer step of an update: a loss, or a gradient in place of a loss."""

    scalars: Scalars
    "metrics of the turn; their means over an epoch are `train_<name>`"

    loss: Tensor | None = None
    "(), or (M,): the loop takes its gradient"

    gradient: Sequence[Tensor] | None = None
    "one tensor per parameter: a gradient that the turn has computed itself"

    player: str = ""
    "name of the submodule whose parameters the step changes; all of them by default"

    size: int = 1
    "samples that the scalars are of: sums for `RunningMean`, means for `MeanOfUpdates`"

    memory: State | None = None
    "the memory for the next update; None leaves the memory unchanged"


@dataclass(frozen=True)
class Problem:
    """What is trained, on which batches, and how.

    The fields without a default describe the problem. The others switch on parts of the
    loop.
    """

    network: Callable[[torch.Generator | None], nn.Module]
    "makes the network with random weights; without a generator only their shapes"

    batches: Callable[[Draw], Sequence[Any]]
    "the batches of an epoch, as `turns` takes them (indices of samples, usually)"

    turns: Callable[[Any, Any, Context], Iterator[Turn]]
    """the turns of an update: of the network, a batch and the context. In a stack the
    network is a function of the same arguments as the module"""

    optimizer: MakeOptimizer
    "makes the optimizer from its learning rate, a number or (M,)"

    model: Callable[[dict[str, Tensor], State], Any]
    "the model of the family, from the weights and the record"

    prepare: Callable[[Any, torch.Generator], None] | None = None
    "changes a new network in place before the first epoch; not called on resume"

    begin: Callable[[Weights, int], None] | None = None
    "changes the weights in place before the epoch of that number"

    optimizer_restarts: frozenset[int] = frozenset()
    "epochs that begin with an empty optimizer state"

    record: Callable[[Any, int, Mapping[str, float], State], State] | None = None
    """the record after an epoch, from the network, the number of the epoch, its metrics
    and the record before. It is part of the state and stays on the CPU"""

    means: Callable[[], Means] = MeanOfUpdates
    "makes what averages the metrics of an epoch"

    metrics: frozenset[Literal["gradient_norm", "objective"]] = frozenset()
    """metrics that the loop computes itself: the mean norm of the gradients before they
    are clipped; the mean loss plus all penalties on the weights at the epoch's end"""

    check_divergence: bool = False
    "whether a metric that is not finite raises FloatingPointError"

    validate: Callable[[Any], float] | None = None
    "validation loss of the network, for early stopping"

    patience: int | None = None
    "epochs without a lower validation loss after which training stops"

    schedule: Schedule = "constant"
    "how the learning rate decreases over the epochs"

    clip: float | None = None
    "largest norm of a gradient"

    average_from: int | None = None
    "epoch from which the weights after each update are averaged, for the model"

    l1: float = 0.0
    "penalty l1 sum |w| on the parameters whose name ends in `weight`"

    l2: float = 0.0
    "penalty l2 / 2 sum w^2 on the same parameters"

    penalty: Callable[[Weights, int, int], Tensor] | None = None
    """a differentiable penalty, () or (M,): of the weights, 1 for a stack and else 0,
    and the number of the epoch"""

    max_norm: float | None = None
    "radius of the ball that the incoming weights of each unit are projected into"

    weight_noise: float = 0.0
    """standard deviation of the noise on all parameters while a gradient is computed;
    for problems of one turn"""
