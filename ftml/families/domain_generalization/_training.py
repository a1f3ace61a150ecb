"""What the families of domain generalization share: batches and the loop.

A family says in which direction an update descends; `run` draws the batches, steps,
counts epochs, and yields steps that resume to the bit. It calls

    scalars, ascent, memory = direction(network, batch, memory, generator)

once an update. `network` is the module at its present weights, which it must leave as
they were; `batch` holds rows of every domain; `ascent` has a tensor for each parameter,
a gradient or what stands for one, against which the optimizer steps. `scalars` names
what the update met, each a tensor (): the "loss", and what else the family has to tell
("penalty", say). Their means over an epoch are its metrics, `train_<name>`. `memory` is
what the family carries from one update to the next (weights of domains, moving
averages, a count of updates): a tree that `ftml.saving` can write, empty at the first
update, the run's own afterwards, so that its tensors may be changed in place. What is
random is drawn from `generator`, on the CPU. All this is in the state: a run resumes
whole.

A family that minimises a function gives that alone, as an objective,

    scalars, memory = objective(network, batch, memory, generator)

and `gradient_of(objective)`, the gradient of its "loss", is its direction. Modules
whose name begins with `_` are no families.

Axes: n samples, d features, k classes, S domains, m rows of a batch, B of each domain.
For a CNN or a ResNet, (m, C, H, W) stands wherever (m, d) is said of x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.core import State, Step, device
from ftml.data import Domains, Splits
from ftml.data.standardize import learn_scaling
from ftml.families.domain_generalization._model import DomainConfig as DomainConfig
from ftml.families.domain_generalization._model import Model as Model
from ftml.families.domain_generalization._model import (
    as_float,
    make_network,
    network_input,
    sizes_of,
)
from ftml.nn.resnet import ResNet, load_pretrained, set_statistics
from ftml.nn.trees import copied
from ftml.optim.descent import Descent, adam

STATISTICS_ROWS = 128
"Rows, of all domains alike, whose statistics a ResNet that is not pretrained keeps."


def domain_weights(offsets: np.ndarray) -> Tensor:
    """Return the weight 1 / (S n_s) of each row, (n,); all together they sum to one.

    offsets: (S + 1,), of domain-major rows. Raises ValueError for a domain without any.
    """
    sizes = np.diff(offsets)
    if not sizes.all():
        raise ValueError(f"every domain needs training samples, got {sizes.tolist()}")
    return torch.from_numpy(np.repeat(1.0 / (len(sizes) * sizes), sizes)).float()


@dataclass(frozen=True)
class Batch:
    """What one update sees: rows of every domain, those of a domain side by side."""

    x: Tensor
    "(m, d), floating"

    y: Tensor
    "(m,), the index of the class"

    sizes: tuple[int, ...]
    "(S,), the rows of each domain, m together: all B, or whole domains"

    weight: Tensor
    "(m,), 1 / (S n_s) for a row of domain s: `weight @ losses` is L_ERM"

    def domains(self) -> list[tuple[Tensor, Tensor]]:
        """Return x (n_s, d) and y (n_s,) of each domain."""
        pairs = zip(self.x.split(self.sizes), self.y.split(self.sizes), strict=True)
        return list(pairs)

    def only(self, domains: Sequence[int]) -> Batch:
        """Return the rows of these domains, weighted for the mean over them alone."""
        x, y, weight = (
            torch.cat([rows.split(self.sizes)[s] for s in domains])
            for rows in (self.x, self.y, self.weight * len(self.sizes))
        )
        sizes = tuple(self.sizes[s] for s in domains)
        return Batch(x, y, sizes, weight / len(domains))


Scalars = Mapping[str, Tensor]
Objective = Callable[[nn.Module, Batch, State, torch.Generator], tuple[Scalars, State]]
Direction = Callable[
    [nn.Module, Batch, State, torch.Generator],
    tuple[Scalars, Sequence[Tensor], State],
]


def gradient_of(objective: Objective) -> Direction:
    """Return the direction of steepest ascent of an objective, to be descended."""

    def direction(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, Sequence[Tensor], State]:
        scalars, memory = objective(network, batch, memory, generator)
        gradient = torch.autograd.grad(scalars["loss"], list(network.parameters()))
        met = {name: value.detach() for name, value in scalars.items()}
        return met, gradient, memory

    return direction


def domain_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of each domain, (S,), for logits (m, k)."""
    losses = F.cross_entropy(logits, batch.y, reduction="none")
    if len(set(batch.sizes)) == 1:
        return losses.view(len(batch.sizes), -1).mean(dim=1)
    return torch.stack([each.mean() for each in losses.split(batch.sizes)])


def draw_batches(
    offsets: np.ndarray, *, batch_size: int, n_batches: int, generator: torch.Generator
) -> Tensor:
    """Return row numbers (n_batches, S B): B of each domain, with replacement."""
    sizes = torch.from_numpy(np.diff(offsets))[:, None]
    shape = (n_batches, len(sizes), batch_size)
    # float64: float32 would leave rows of a domain beyond 2^24 undrawn.
    place = torch.rand(shape, generator=generator, dtype=torch.float64)
    rows = (place * sizes).long() + torch.from_numpy(offsets[:-1])[:, None]
    return rows.flatten(1)


def plan_epoch(
    offsets: np.ndarray, *, batch_size: int | None, generator: torch.Generator
) -> tuple[Tensor, tuple[int, ...]]:
    """Return the rows (n_batches, m) of an epoch's updates, and the sizes (S,)."""
    n, S = int(offsets[-1]), len(offsets) - 1
    if batch_size is None:
        return torch.arange(n)[None], tuple(np.diff(offsets).tolist())
    rows = draw_batches(
        offsets,
        batch_size=batch_size,
        n_batches=math.ceil(n / (S * batch_size)),
        generator=generator,
    )
    return rows, (batch_size,) * S


def outer_adam(config: DomainConfig) -> Descent:
    """Return what descends where a family does not say otherwise."""
    return adam(learning_rate=config.learning_rate, weight_decay=config.weight_decay)


def run(
    config: DomainConfig,
    data: Splits[Domains],
    state: State | None,
    direction: Direction,
    *,
    optimizer: Callable[[Any], Descent] = outer_adam,
    min_domains: int = 1,
) -> Iterator[Step]:
    """Yield after each epoch of updates along `direction`, going on from `state`.

    optimizer: makes what descends, from the config. min_domains: how many domains the
    family needs to train on. Raises ValueError where there are fewer, and for a domain
    without samples.
    """
    block = data.train
    S = len(block.domain_names)
    if min_domains > S:
        raise ValueError(f"training needs {min_domains} domains or more, got {S}")
    domain_weights(block.offsets)  # checks that no domain is empty
    scaling = None if block.is_images else learn_scaling(block.x)
    sizes = sizes_of(config, block)
    x = network_input(block.x, network=config.network, sizes=sizes, scaling=scaling)
    x, y = x.to(device()), torch.tensor(block.y, device=device())
    generator = torch.Generator().manual_seed(config.seed)
    network = make_network(config.network, sizes, generator).to(x.device)
    parameters: list[Tensor] = list(network.parameters())
    descend = optimizer(config)
    n, memory, moments = 0, State(), State()
    if state is None:
        prepare(network, config, x, block.offsets, generator=generator)
    else:
        n = state["n"]
        network.load_state_dict(state["weights"])
        # Copied, for what is given here is changed in place.
        moments = copied(state["optimizer"], where=x.device)
        memory = copied(state["memory"], where=x.device)
        generator.set_state(state["generator"])
    while n < config.n_epochs:
        n, met = n + 1, []
        for batch in epoch_batches(config, x, y, block.offsets, generator=generator):
            scalars, ascent, memory = direction(network, batch, memory, generator)
            descend(parameters, ascent, moments)
            met.append(scalars)
        weights = copied(network.state_dict())
        state = {
            "n": n,
            "weights": weights,
            "optimizer": copied(moments),
            "memory": copied(memory),
            "generator": generator.get_state(),
        }
        model = Model(config.network, sizes, weights, scaling)
        yield Step(n, epoch_metrics(met), model, state)


def prepare(
    network: nn.Module,
    config: DomainConfig,
    x: Tensor,
    offsets: np.ndarray,
    *,
    generator: torch.Generator,
) -> None:
    """Give a ResNet its pretrained weights, or else the statistics of rows drawn of x.

    x, offsets: what the network trains on. Raises what `load_pretrained` raises.
    """
    if not isinstance(network, ResNet):
        return
    if config.pretrained is not None:
        load_pretrained(network, Path(config.pretrained))
        return
    B = math.ceil(STATISTICS_ROWS / (len(offsets) - 1))
    rows = draw_batches(offsets, batch_size=B, n_batches=1, generator=generator)
    drawn = x.index_select(0, rows[0].to(x.device))
    set_statistics(network, as_float(drawn, network=config.network))


def epoch_metrics(met: Sequence[Scalars]) -> dict[str, float]:
    """Return the mean of each scalar over the updates of an epoch, `train_<name>`."""
    means = [torch.stack([each[name] for each in met]).mean() for name in met[0]]
    # One transfer an epoch: reading each loss would make a GPU wait for every one.
    found = torch.stack(means).tolist()
    return {f"train_{name}": value for name, value in zip(met[0], found, strict=True)}


def epoch_batches(
    config: DomainConfig,
    x: Tensor,
    y: Tensor,
    offsets: np.ndarray,
    *,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """Yield the batches of an epoch, all drawn before the first is given."""
    rows, sizes = plan_epoch(offsets, batch_size=config.batch_size, generator=generator)
    weight = domain_weights(np.cumsum((0, *sizes))).to(x.device)
    for index in rows.to(x.device):
        # Not x[index], which takes 15 times as long for rows of uint8.
        part = as_float(x.index_select(0, index), network=config.network)
        yield Batch(part, y.index_select(0, index), sizes, weight)
