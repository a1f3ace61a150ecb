"""A smooth network on random domains, in float64, for expansions in the inner step.

Axes: S domains, m rows of a batch. Its activation is tanh, so that the losses have the
third derivatives of the remainders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.families.domain_generalization._training import Batch
from ftml.families.domain_generalization.fish import inner_loop
from ftml.nn.mlp import MLP
from ftml.optim.optimizers import sgd

INNER_STEPS = np.array([4e-3, 2e-3, 1e-3])
"""lambda: small enough that the next power is below a hundredth of the measured one,
and large enough that its third power is far above the rounding of float64.
"""

TOLERANCE = 0.1
"Tolerance of a slope: the next power of lambda changes it by about its relative size."


def smooth_problem(seed: int, *, S: int) -> tuple[MLP, Batch]:
    """Return a network of 3 features and 3 classes, and rows of S unequal domains."""
    draw = torch.Generator().manual_seed(seed)
    network = MLP((3, 5, 3), activation="tanh", generator=draw).double()
    sizes = tuple(4 + 2 * s for s in range(S))
    x = torch.randn(sum(sizes), 3, generator=draw, dtype=torch.float64)
    y = torch.randint(3, (sum(sizes),), generator=draw)
    each = [torch.full((n,), 1 / (S * n), dtype=torch.float64) for n in sizes]
    return network, Batch(x, y, sizes, torch.cat(each))


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Return all entries in one row."""
    return torch.cat([each.reshape(-1) for each in tensors])


def gradient(value: Tensor, network: nn.Module, *, graph: bool = False) -> Tensor:
    """Return the gradient of a scalar, (p,); `graph` keeps what made it."""
    found = torch.autograd.grad(
        value, list(network.parameters()), create_graph=graph, retain_graph=True
    )
    return flat(found)


def domain_gradients(network: nn.Module, batch: Batch) -> list[Tensor]:
    """Return G_i of each domain, (p,), to be differentiated again."""
    losses = [F.cross_entropy(network(x), y) for x, y in batch.domains()]
    return [gradient(loss, network, graph=True) for loss in losses]


def way(network: nn.Module, batch: Batch, order: Sequence[int], a: float) -> Tensor:
    """Return theta - theta~ of Fish's inner loop of steps a in that order, (p,)."""
    return flat(inner_loop(network, batch, order, sgd(learning_rate=a), {})[1])


def mean_way(
    network: nn.Module, batch: Batch, orders: Iterable[Sequence[int]], a: float
) -> Tensor:
    """Return the mean of theta - theta~ over the orders, (p,)."""
    return torch.stack([way(network, batch, each, a) for each in orders]).mean(dim=0)


def norms(residuals: Iterable[Tensor]) -> np.ndarray:
    """Return the norm of each residual."""
    return np.array([float(each.detach().norm()) for each in residuals])


def remainders(
    network: nn.Module, batch: Batch, orders: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the norm of what Fish's expansion leaves of the mean step over these
    orders, for each of INNER_STEPS:

        theta - theta~ - lambda sum_i G_i + (lambda^2 / 2) grad sum_{i<j} <G_i, G_j>
    """
    G = domain_gradients(network, batch)
    pairs = torch.stack([one @ other for one, other in combinations(G, 2)])
    curvature = gradient(pairs.sum(), network)
    return norms(
        mean_way(network, batch, orders, a) - a * sum(G) + a**2 / 2 * curvature
        for a in INNER_STEPS
    )
