"""How autoencoders and generative models are trained: one loop, players in turns.

A family makes a `Problem`: the rows, a network that draws its weights, and the turns of
an update. Most have one turn, of all parameters; of adversaries each has turns of its
own. `run` trains it, one epoch a step, and resumes to the bit.

Axes: n rows, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step, device
from ftml.families.generative._model import as_float
from ftml.nn.layers import Draw
from ftml.nn.trees import copied
from ftml.optim.constraints import clip
from ftml.optim.descent import adam
from ftml.optim.schedules import SCHEDULES, Schedule

SHOWN_SEED = 0
"Of the codes that samples over training are made of."


class TrainingConfig(FamilyConfig):
    """How a network is trained, by Adam."""

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-2)] = 3e-3
    "step size of Adam"

    schedule: Schedule = "cosine"
    "how the learning rate falls over the epochs"

    clip: Annotated[float, Field(gt=0)] | None = None
    "largest norm of a gradient; a longer one is shortened"

    batch_size: Annotated[int, Field(ge=1)] = 32
    "rows of an update; an epoch is all of them in a drawn order"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "passes over the rows"


class Turn(NamedTuple):
    """One step of descent in an update."""

    loss: Tensor
    "(), what is descended"

    scalars: Mapping[str, Tensor]
    "what the turn has to tell, each (); the means over an epoch are its metrics"

    player: str = ""
    "the part of the network whose parameters are moved; all by default"


@dataclass(frozen=True)
class Problem:
    """What is trained on what."""

    x: Tensor
    "(n, ...) on the device, pixels as uint8"

    network: Callable[[torch.Generator | None], nn.Module]
    "draws its weights; without a generator only their shapes"

    turns: Callable[[Any, Tensor, Draw], Iterator[Turn]]
    """the turns of an update, of the network and a batch (B, ...); each is taken before
    the next one is asked for"""

    model: Callable[[State], Any]
    "the family's model of a state"

    prepare: Callable[[Any, Tensor], None] | None = None
    "what is done to the network, given x, in place, before the first epoch"

    shown: Tensor | None = None
    """codes (or noise) on the device: what the network makes of them is kept after
    epochs 1, 2, 4, 8, ..."""

    batches: int = 1
    "batches of an update: k batches for k turns that have rows of their own"

    beta: float = 0.9
    "share of the past in Adam's mean gradient"


def run(
    config: TrainingConfig, problem: Problem, state: State | None
) -> Iterator[Step]:
    """Yield after each epoch, going on from `state`.

    Raises FloatingPointError, which says `diverged`, for an epoch whose metrics are not
    all finite.
    """
    generator = torch.Generator().manual_seed(config.seed)
    network = problem.network(generator).to(device()).train()
    if state is None:
        if problem.prepare is not None:
            problem.prepare(network, problem.x)
        state = {"n": 0, "optimizer": State(), "history": {}, "snapshots": []}
    else:
        network.load_state_dict(state["weights"])
        generator.set_state(state["generator"])
    while state["n"] < config.n_epochs:
        moments = copied(state["optimizer"], where=device())
        metrics = _epoch(config, problem, network, moments, generator, state["n"])
        n = state["n"] + 1
        if wrong := [name for name, x in metrics.items() if not math.isfinite(x)]:
            raise FloatingPointError(
                f"diverged: {wrong[0]} is {metrics[wrong[0]]} in epoch {n}"
            )
        history = state["history"]
        state = {
            "n": n,
            "weights": copied(network.state_dict()),
            "optimizer": copied(moments),
            "generator": generator.get_state(),
            "history": {k: [*history.get(k, []), v] for k, v in metrics.items()},
            "snapshots": state["snapshots"] + _snapshot(problem, network, n),
        }
        yield Step(n, metrics, problem.model(state), state)


@torch.no_grad()
def _snapshot(problem: Problem, network: Any, n: int) -> list[tuple[int, Tensor]]:
    """Return what is kept of epoch n, where its number is a power of two."""
    if problem.shown is None or n & (n - 1):
        return []
    return [(n, network.decode(problem.shown).cpu())]


def shown_codes(size: tuple[int, int]) -> Tensor:
    """Return standard normal codes on the device, the same whatever the seed."""
    generator = torch.Generator().manual_seed(SHOWN_SEED)
    return torch.randn(size, generator=generator).to(device())


def _epoch(
    config: TrainingConfig,
    problem: Problem,
    network: nn.Module,
    moments: State,
    generator: torch.Generator,
    n: int,
) -> dict[str, float]:
    """Take the updates of an epoch after n others, in place; return its metrics."""
    rows = torch.randperm(len(problem.x), generator=generator).to(device())
    parts = rows.split(config.batch_size * problem.batches)
    draw = Draw([generator], stacked=False)
    factor = SCHEDULES[config.schedule]
    descend = adam(learning_rate=config.learning_rate, betas=(problem.beta, 0.999))
    # Sums, for numbers kept apart would lie between large blocks that then stay.
    total: dict[str, Tensor] = {}
    count: dict[str, int] = {}
    for b, index in enumerate(parts):
        x = as_float(problem.x.index_select(0, index))
        scale = factor(n * len(parts) + b, config.n_epochs * len(parts))
        for turn in problem.turns(network, x, draw):
            player = network.get_submodule(turn.player)
            parameters: list[Tensor] = list(player.parameters())
            gradient = list(torch.autograd.grad(turn.loss, parameters))
            if config.clip is not None:
                gradient = clip(gradient, config.clip)
            own = moments.setdefault(turn.player, State())
            descend(parameters, gradient, own, scale=scale)
            for name, value in turn.scalars.items():
                key = f"train_{name}"
                if key not in total:
                    total[key] = torch.zeros((), dtype=torch.float64, device=x.device)
                total[key] += value.detach()
                count[key] = count.get(key, 0) + 1
    means = [each / count[key] for key, each in total.items()]
    # One transfer an epoch: reading each number would make a GPU wait for every one.
    return dict(zip(total, torch.stack(means).tolist(), strict=True))
