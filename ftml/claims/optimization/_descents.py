"""Steps of ftml.optim's rules on problems of one coordinate, in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from ftml.core import State
from ftml.optim.optimizers import Optimizer


def iterates(
    descend: Optimizer, gradient: Callable[[float], float], *, start: float, count: int
) -> list[float]:
    """Return theta_0, ..., theta_count of a descent."""
    theta, moments = [torch.tensor([start], dtype=torch.float64)], State()
    met = [start]
    for _ in range(count):
        descend(theta, [torch.full_like(theta[0], gradient(met[-1]))], moments)
        met.append(float(theta[0]))
    return met


def constant_steps(descend: Optimizer, *, count: int, g: float = 1.0) -> list[float]:
    """Return how far each step goes against a constant gradient g."""
    met = iterates(descend, lambda theta: g, start=0.0, count=count)
    return [before - after for before, after in pairwise(met)]
