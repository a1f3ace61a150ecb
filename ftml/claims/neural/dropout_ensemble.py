"""A softmax layer scaled by its keep probability is the geometric mean of its subnets.

    P(y | x) = prod_m P(y | x, m)^P(m) / sum_y' prod_m P(y' | x, m)^P(m)

m runs over the 2^6 masks of the inputs, each kept with probability 0.8. The notes put
P(m) inside of a root over the masks and do not normalise (mistake 38). The measured
value is the largest gap between the network as it predicts and the mean over all masks,
each put through the network's own dropout; the value in the source is the gap to the
printed root. For one softmax layer the two are equal, for deeper nets only nearly.

Source: Deep learning cheat sheet, section 14.13, dropout.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.mlp import MLP

MISTAKES = (38,)

D, KEPT = 6, 0.8


class Fixed:
    """Replaces the random numbers of dropout so that they give one fixed mask."""

    def __init__(self, mask: tuple[int, ...]) -> None:
        self.mask = torch.tensor(mask)

    def uniform(self, like: Tensor) -> Tensor:
        """Return 1 for what is kept and 0 for what is left out."""
        return self.mask.to(like.dtype).expand_as(like)


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a probability, and the value in the source."""
    generator = torch.Generator().manual_seed(seed)
    net = MLP((D, 3), input_dropout=1 - KEPT, generator=generator).double()
    x = torch.randn(10, D, generator=generator, dtype=torch.float64)
    masks = list(product((0, 1), repeat=D))
    chances = torch.tensor(
        [KEPT ** sum(m) * (1 - KEPT) ** (D - sum(m)) for m in masks],
        dtype=torch.float64,
    )
    draws: list[Any] = [Fixed(mask) for mask in masks]
    log_probs = torch.stack([net(x, draw).log_softmax(dim=1) for draw in draws])
    mean = torch.einsum("m,mby->by", chances, log_probs).softmax(dim=1)
    root = (log_probs + chances.log()[:, None, None]).mean(dim=0).exp()
    predicted = net(x).softmax(dim=1)
    return Evidence(
        expected=0.0,
        measured=float((predicted - mean).abs().max()),
        tolerance=1e-12,
        value_in_source=float((predicted - root).abs().max()),
    )
