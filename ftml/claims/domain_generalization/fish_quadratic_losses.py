"""For two domains with quadratic losses Fish's expansion has no remainder at all.

    E[theta - theta~] = lambda (G_1 + G_2) - (lambda^2 / 2) grad <G_1, G_2>

holds for every lambda, however large: the Hessians are constant, and two steps make no
power above lambda^2. The measured value is the largest distance of the two sides over
lambda = 0.1 to 10, relative to the step, for the mean squared loss of a linear network;
only rounding remains. The domains are generated from the seed.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.2) and
(1.3.6).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ftml.claims._measures import farthest
from ftml.claims.domain_generalization._smooth import flat, gradient
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization._training import Batch
from ftml.families.domain_generalization.fish import inner_loop
from ftml.nn.mlp import MLP
from ftml.optim.optimizers import sgd


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance of Fish's mean step from its expansion."""
    draw = torch.Generator().manual_seed(seed)
    network = MLP((3, 2), generator=draw).double()
    x = torch.randn(12, 3, generator=draw, dtype=torch.float64)
    y = torch.randn(12, 2, generator=draw, dtype=torch.float64)
    batch = Batch(x, y, (5, 7), torch.full((12,), 1 / 12, dtype=torch.float64))
    one, two = (
        gradient(F.mse_loss(network(x), y), network, graph=True)
        for x, y in batch.domains()
    )
    curvature = gradient(one @ two, network)
    gaps = []
    for a in (0.1, 1.0, 10.0):
        step = sgd(learning_rate=a)
        there, back = (
            flat(inner_loop(network, batch, order, step, {}, loss=F.mse_loss)[1])
            for order in ((0, 1), (1, 0))
        )
        mean = (there + back) / 2
        expansion = a * (one + two) - a**2 / 2 * curvature
        gaps.append(float((mean - expansion).detach().norm() / mean.norm()))
    return Evidence(expected=0.0, measured=farthest(gaps, 0.0), tolerance=1e-12)
