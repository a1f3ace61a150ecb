"""What the families with a penalty share: statistics of domains, and annealing.

Axes: S domains, m rows of a batch, n_s rows of domain s, p and q numbers of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ftml import training
from ftml.core import State, Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization._training import (
    Direction,
    DomainConfig,
    domain_problem,
)


def domain_means(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the mean over the rows of each domain, (S, ...), of values (m, ...)."""
    if len(set(sizes)) == 1:
        return values.view(len(sizes), -1, *values.shape[1:]).mean(dim=1)
    return torch.stack([each.mean(dim=0) for each in values.split(sizes)])


def domain_products(a: Tensor, b: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the mean of the outer products of a domain's rows, (S, p, q).

    a: (m, p). b: (m, q).
    """
    if len(set(sizes)) == 1:
        a, b = (each.view(len(sizes), -1, each.shape[1]) for each in (a, b))
        return a.mT @ b / sizes[0]
    pairs = zip(a.split(sizes), b.split(sizes), strict=True)
    return torch.stack([each.mT @ other / len(each) for each, other in pairs])


def squared_deviations(values: Tensor) -> Tensor:
    """Return |a_s - abar|^2 of each domain, element by element, of values (S, ...)."""
    # Not torch.var, whose gradient along a leading axis takes twice as long.
    return (values - values.mean(dim=0)).square()


def sent(values: Tensor, where: torch.device) -> Tensor:
    """Return a small tensor of the CPU on a device, not waiting for a GPU's work."""
    return values.to(where, non_blocking=True)


def to_rows(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the value of its domain for each row, (m, ...), of values (S, ...)."""
    if len(set(sizes)) == 1:
        return values.repeat_interleave(sizes[0], dim=0)
    repeats = sent(torch.tensor(sizes), values.device)
    return values.repeat_interleave(repeats, dim=0, output_size=sum(sizes))


def counts(sizes: tuple[int, ...], *, like: Tensor) -> Tensor:
    """Return n_s of each domain, (S,), of the dtype and on the device of `like`.

    Raises ValueError for a domain of one row, which has no variance.
    """
    if min(sizes) < 2:
        raise ValueError(
            f"an update needs 2 samples of each domain or more, got {min(sizes)}; "
            "batch_size sets their number"
        )
    return sent(torch.tensor(sizes, dtype=like.dtype), like.device)


def run_annealed(
    config: DomainConfig,
    data: Splits[Domains],
    state: State | None,
    *,
    before: Direction,
    after: Direction,
    anneal_epochs: int,
    min_domains: int = 1,
    min_rows: int = 1,
) -> Iterator[Step]:
    """Yield epochs along `before` until `anneal_epochs`, then along `after`.

    Between the two the optimizer state is cleared, as in DomainBed: Adam's averages
    belong to gradients of another scale, and with them the first updates would be far
    too long.
    """
    problem = domain_problem(
        config,
        data,
        lambda epoch: before if epoch <= anneal_epochs else after,
        min_domains=min_domains,
        min_rows=min_rows,
    )
    restarts = frozenset({anneal_epochs + 1})
    problem = replace(problem, optimizer_restarts=restarts)
    yield from training.run(config, problem, state)
