"""What the families of domain generalization share: batches, directions, the problem.

A family computes the gradient of an update, or what takes its place; `run` gives it to
the shared training loop (`ftml.training`). It is called once per update as

    scalars, gradient, memory = direction(network, batch, memory, generator)

`network` is the module with its current weights, which the direction must leave as they
were. `batch` holds rows of every domain. `gradient` has one tensor per parameter: a
gradient or its substitute, from which the optimizer computes its step. `scalars` are
the metrics of the update, each a tensor (): the "loss", and others of the family
("penalty", for example). Their means over an epoch are the metrics `train_<name>`.
`memory` is what the family carries from one update to the next (weights of domains,
moving averages, a count of updates): a tree that `ftml.saving` can write, empty at the
first update. It belongs to the run, so its tensors may be changed in place. All random
numbers come from `generator`, on the CPU. Generator and memory are part of the state,
so a resumed run is bit-identical to an uninterrupted one.

A family that minimises a function gives that alone, as an objective,

    scalars, memory = objective(network, batch, memory, generator)

and `gradient_of(objective)`, the gradient of its "loss", is its direction. Modules
whose name begins with `_` are not families.

Axes: n samples, d features, k classes, S domains, m rows of a batch, B of each domain.
For a CNN or a ResNet the shape of x is (m, C, H, W) wherever (m, d) is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml import training
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
from ftml.nn.layers import Draw
from ftml.nn.resnet import ResNet, load_pretrained, set_statistics
from ftml.optim.optimizers import MakeOptimizer, adam
from ftml.training.metrics import Scalars as Scalars
from ftml.training.problem import Context, Problem, Turn

STATISTICS_ROWS = 128
"Rows, as many of each domain, whose statistics a ResNet without pretraining keeps."


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
    """The rows of one update: of every domain, sorted by domain."""

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


Objective = Callable[[nn.Module, Batch, State, torch.Generator], tuple[Scalars, State]]
Direction = Callable[
    [nn.Module, Batch, State, torch.Generator],
    tuple[Scalars, Sequence[Tensor], State],
]


def gradient_of(objective: Objective) -> Direction:
    """Return the direction of an objective: the gradient of its loss."""

    def direction(
        network: nn.Module, batch: Batch, memory: State, generator: torch.Generator
    ) -> tuple[Scalars, Sequence[Tensor], State]:
        scalars, memory = objective(network, batch, memory, generator)
        gradient = torch.autograd.grad(scalars["loss"], list(network.parameters()))
        return scalars, gradient, memory

    return direction


def domain_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of each domain, (S,), for logits (m, k)."""
    losses = F.cross_entropy(logits, batch.y, reduction="none")
    if len(set(batch.sizes)) == 1:
        return losses.view(len(batch.sizes), -1).mean(dim=1)
    return torch.stack([each.mean() for each in losses.split(batch.sizes)])


def check_domains(data: Domains, *, min_domains: int, min_rows: int) -> None:
    """Raise ValueError unless there are enough domains and samples of each of them."""
    if len(data.domain_names) < min_domains:
        raise ValueError(
            f"training needs {min_domains} domains or more, got "
            f"{len(data.domain_names)}"
        )
    domain_weights(data.offsets)  # checks that no domain is empty
    sizes = zip(data.domain_names, np.diff(data.offsets).tolist(), strict=True)
    if few := [f"{n} of domain {name}" for name, n in sizes if n < min_rows]:
        raise ValueError(
            f"training needs {min_rows} samples of each domain or more, got "
            f"{', '.join(few)}"
        )


def draw_batches(
    offsets: np.ndarray, *, batch_size: int, n_batches: int, generator: torch.Generator
) -> Tensor:
    """Return row numbers (n_batches, S B): B of each domain, with replacement."""
    sizes = torch.from_numpy(np.diff(offsets))[:, None]
    shape = (n_batches, len(sizes), batch_size)
    # float64: float32 could not select every row of a domain of more than 2^24.
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


Rows = tuple[Tensor, tuple[int, ...], Tensor]
"The rows (m,) of an update, the sizes (S,) of its domains and its weights (m,)."


def epoch_rows(
    config: DomainConfig,
    offsets: np.ndarray,
    where: torch.device,
    generator: torch.Generator,
) -> Sequence[Rows]:
    """Return the rows of each update of an epoch, on a device."""
    rows, sizes = plan_epoch(offsets, batch_size=config.batch_size, generator=generator)
    weight = domain_weights(np.cumsum((0, *sizes))).to(where)
    return [(index, sizes, weight) for index in rows.to(where)]


def batch_of(config: DomainConfig, x: Tensor, y: Tensor, rows: Rows) -> Batch:
    """Return the batch of these rows of x and y, pixels as floats."""
    index, sizes, weight = rows
    # Not x[index], which is slower for rows of uint8.
    part = as_float(x.index_select(0, index), network=config.network)
    return Batch(part, y.index_select(0, index), sizes, weight)


def outer_adam(config: DomainConfig) -> MakeOptimizer:
    """Return what makes the optimizer where a family does not choose another."""
    return partial(adam, weight_decay=config.weight_decay)


def run(
    config: DomainConfig,
    data: Splits[Domains],
    state: State | None,
    direction: Direction,
    *,
    optimizer: MakeOptimizer | None = None,
    min_domains: int = 1,
    min_rows: int = 1,
) -> Iterator[Step]:
    """Yield after each epoch of updates along `direction`, resuming from `state`.

    optimizer: makes the optimizer from its learning rate; `outer_adam` by default.
    min_domains, min_rows: how many training domains, and samples of each, the family
    needs. Raises ValueError where there are fewer.
    """
    problem = domain_problem(
        config,
        data,
        lambda epoch: direction,
        min_domains=min_domains,
        min_rows=min_rows,
    )
    if optimizer is not None:
        problem = replace(problem, optimizer=optimizer)
    yield from training.run(config, problem, state)


def domain_problem(
    config: DomainConfig,
    data: Splits[Domains],
    direction_of: Callable[[int], Direction],
    *,
    min_domains: int = 1,
    min_rows: int = 1,
) -> Problem:
    """Return the problem of updates along a direction, which may change by epoch.

    Raises ValueError as `run` does.
    """
    block = data.train
    check_domains(block, min_domains=min_domains, min_rows=min_rows)
    scaling = None if block.is_images else learn_scaling(block.x)
    sizes = sizes_of(config, block)
    x = network_input(block.x, network=config.network, sizes=sizes, scaling=scaling)
    x, y = x.to(device()), torch.tensor(block.y, device=device())

    def batches(draw: Draw) -> Sequence[Rows]:
        return epoch_rows(config, block.offsets, x.device, draw.generators[0])

    def turns(network: nn.Module, rows: Rows, context: Context) -> Iterator[Turn]:
        batch = batch_of(config, x, y, rows)
        scalars, gradient, memory = direction_of(context.epoch)(
            network, batch, context.memory, context.draw.generators[0]
        )
        yield Turn(scalars, gradient=gradient, memory=memory)

    return Problem(
        network=lambda generator: make_network(config.network, sizes, generator),
        batches=batches,
        turns=turns,
        optimizer=outer_adam(config),
        model=lambda weights, _: Model(config.network, sizes, weights, scaling),
        prepare=lambda network, generator: prepare(
            network, config, x, block.offsets, generator=generator
        ),
    )


def prepare(
    network: nn.Module,
    config: DomainConfig,
    x: Tensor,
    offsets: np.ndarray,
    *,
    generator: torch.Generator,
) -> None:
    """Give a ResNet its pretrained weights, or else the statistics of random rows of x.

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
