"""How networks on sequences, text and trees are trained: one loop, batches by length.

A family makes a `Problem`: how many samples there are and how long, a network that
draws its weights, and the loss of some of them. `run` trains it, one epoch a step, and
resumes to the bit.

Axes: n samples, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step, device
from ftml.data.ragged import by_length
from ftml.nn.layers import Draw
from ftml.nn.trees import copied
from ftml.optim.constraints import clip
from ftml.optim.descent import adam
from ftml.optim.schedules import SCHEDULES, Schedule


class TrainingConfig(FamilyConfig):
    """How a network is trained, by Adam."""

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-2)] = 3e-3
    "step size of Adam"

    schedule: Schedule = "cosine"
    "how the learning rate falls over the epochs"

    clip: Annotated[float, Field(gt=0)] | None = 1.0
    "largest norm of a gradient; a longer one is shortened"

    l2: Annotated[float, Field(ge=0)] = 0.0
    "penalty l2 / 2 sum w^2 on all parameters"

    batch_size: Annotated[int, Field(ge=1)] = 32
    "samples of an update, of nearly the same length"

    n_epochs: Annotated[int, Field(ge=1)] = 20
    "passes over the samples"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    "chance that a unit is left out in training"


@dataclass(frozen=True)
class Problem:
    """What is trained on what."""

    lengths: np.ndarray
    "(n,), of the samples: those of a batch are nearly the same"

    network: Callable[[torch.Generator | None], nn.Module]
    "draws its weights; without a generator only their shapes"

    loss: Callable[[Any, np.ndarray, Draw | None], tuple[Tensor, int]]
    "of a network on the samples of these numbers: the sum, and over how many"

    model: Callable[[dict[str, Tensor]], Any]
    "the family's model with these weights"


def run(
    config: TrainingConfig, problem: Problem, state: State | None
) -> Iterator[Step]:
    """Yield after each epoch, going on from `state`.

    `train_loss` is the mean over the epoch's updates, `train_gradient_norm` that of the
    gradients before they are clipped.
    """
    generator = torch.Generator().manual_seed(config.seed)
    network = problem.network(generator).to(device()).train()
    n, moments = 0, State()
    if state is not None:
        n = state["n"]
        network.load_state_dict(state["weights"])
        moments = copied(state["optimizer"], where=device())
        generator.set_state(state["generator"])
    while n < config.n_epochs:
        metrics = _epoch(config, problem, network, moments, generator, n)
        n += 1
        weights = copied(network.state_dict())
        state = {
            "n": n,
            "weights": weights,
            "optimizer": copied(moments),
            "generator": generator.get_state(),
        }
        yield Step(n, metrics, problem.model(weights), state)


def _epoch(
    config: TrainingConfig,
    problem: Problem,
    network: nn.Module,
    moments: State,
    generator: torch.Generator,
    n: int,
) -> dict[str, float]:
    """Take the updates of an epoch after n others, in place; return its metrics."""
    parameters: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
    descend = adam(learning_rate=config.learning_rate, weight_decay=config.l2)
    factor, draw = SCHEDULES[config.schedule], Draw([generator], stacked=False)
    batches = _batches(problem.lengths, config.batch_size, generator)
    total, norms, count = torch.zeros((), device=device()), [], 0
    for b, index in enumerate(batches):
        loss, size = problem.loss(network, index, draw)
        gradient = list(torch.autograd.grad(loss / size, parameters))
        norms.append(torch.stack(torch._foreach_norm(gradient)).norm())
        if config.clip is not None:
            gradient = clip(gradient, config.clip)
        scale = factor(n * len(batches) + b, config.n_epochs * len(batches))
        descend(parameters, gradient, moments, scale=scale)
        total += loss.detach()
        count += size
    return {
        "train_loss": (total / count).item(),
        "train_gradient_norm": torch.stack(norms).mean().item(),
    }


def _batches(
    lengths: np.ndarray, batch_size: int, generator: torch.Generator
) -> list[np.ndarray]:
    seed = int(torch.randint(2**62, (), generator=generator))
    rng = np.random.default_rng(seed)
    return by_length(lengths, batch_size=batch_size, rng=rng)


def tensor(values: np.ndarray, where: torch.device | None = None) -> Tensor:
    """Return a copy on a device, the training's by default: numbers as float32."""
    kind = np.float32 if values.dtype == np.float64 else values.dtype
    return torch.from_numpy(np.array(values, kind)).to(where or device())
