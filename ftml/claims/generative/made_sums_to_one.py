"""A network whose masks hide from each output its own input is a distribution.

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1}),   sum over all 2^d rows = 1

The measured value is how far the sum over all 2^8 rows of a random network with two
hidden layers is from 1. Without the masks an output depends on its own input, and the
sum can have any value (in the table).

Source: Deep learning cheat sheet, section 19, taxonomy of generative models.
"""

from __future__ import annotations

import pandas as pd
import torch

from ftml.evidence import Budget, Evidence
from ftml.families.generative.made import log_probability
from ftml.nn.made import MADE

D = 8


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return how far the sum of all probabilities is from 1."""
    generator = torch.Generator().manual_seed(seed)
    network = MADE(D, hidden=(12, 12), activation="tanh", generator=generator).double()
    for each in network.parameters():
        each.mul_(3.0)  # far from the uniform distribution
    every = (torch.arange(2**D)[:, None] >> torch.arange(D) & 1).double()
    masked = float(log_probability(network, every).exp().sum())
    network.masks = [torch.ones_like(mask) for mask in network.masks]
    bare = float(log_probability(network, every).exp().sum())
    rows = [("with masks", masked), ("without", bare)]
    return Evidence(
        expected=0.0,
        measured=abs(masked - 1),
        tolerance=1e-12,
        table=pd.DataFrame(rows, columns=["network", "sum of all probabilities"]),
    )
