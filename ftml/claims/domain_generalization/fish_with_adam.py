"""With Adam as its inner optimizer Fish is no IDGM: not even lambda sum G_i remains.

    SGD:   E[theta - theta~] = lambda sum_i G_i + O(lambda^2)
    Adam:  the first step is lambda sign(G_i), and so on: another direction at once

The measured value is the order in lambda of the distance of Fish's mean step from
lambda sum_i G_i, with Adam started anew for each of the 3! orders: 1, however short the
steps. With SGD it must be 2, otherwise the measured value is NaN. The authors' code and
DomainBed take Adam: the constants of the theory are not theirs. The domains are
generated from the seed.

Source: Exam solutions, "Domain generalization (2023)", section 3.3 (inner loop of algo
1); Shi et al. 2022, "Gradient matching for domain generalization".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch

from ftml.claims._measures import log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    domain_gradients,
    flat,
    norms,
    smooth_problem,
)
from ftml.core import State
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.fish import inner_loop
from ftml.optim.optimizers import Optimizer, adam, sgd

S = 3


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the distance with Adam; NaN where that with SGD is not 2."""
    curves = {
        name: distances(seed, optimizer)
        for name, optimizer in (("Adam", adam), ("SGD", sgd))
    }
    slopes = log_slopes(INNER_STEPS, curves)
    sgd_follows = abs(slopes["SGD"] - 2) < TOLERANCE
    return Evidence(
        expected=1.0,
        measured=slopes["Adam"] if sgd_follows else float("nan"),
        tolerance=TOLERANCE,
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="inner step lambda",
            ylabel="distance from lambda sum of G, norm",
        ),
    )


def distances(seed: int, optimizer: Callable[..., Optimizer]) -> np.ndarray:
    """Return the distance of Fish's mean step from lambda sum_i G_i."""
    network, batch = smooth_problem(seed, S=S)
    total = torch.stack(domain_gradients(network, batch)).sum(dim=0)
    residuals = []
    for a in INNER_STEPS:
        inner = optimizer(learning_rate=float(a))
        ways = [
            flat(inner_loop(network, batch, order, inner, State())[1])
            for order in permutations(range(S))
        ]
        residuals.append(torch.stack(ways).mean(dim=0) - a * total)
    return norms(residuals)
