"""Over all orders of the domains, Fish's mean step rewards aligned gradients.

    E[theta - theta~] = lambda sum_i G_i - (lambda^2 / 2) grad sum_{i<j} <G_i, G_j>
                        + O(lambda^3)

For S = 2 to 5 domains all S! orders are run. What is measured is the order of the
remainder in lambda, of the S that lies farthest from 3; one constant wrong and it is 2.
The domains are drawn from the seed; the statement holds for all of them.

Source: 000_dd65aead3f2d61f3.txt, "Domain generalization (2023)", section 3.3, (1.3.6);
Shi et al. 2022, "Gradient matching for domain generalization".
"""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import torch

from ftml.claims._measures import farthest, log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    domain_gradients,
    gradient,
    mean_way,
    norms,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the remainder that lies farthest from 3."""
    curves = {f"{S} domains": remainders(seed, S=S) for S in range(2, 6)}
    slopes = log_slopes(INNER_STEPS, curves).values()
    return Evidence(
        expected=3.0,
        measured=farthest(slopes, 3),
        tolerance=TOLERANCE,
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="inner step lambda",
            ylabel="remainder of the expansion, norm",
        ),
    )


def remainders(seed: int, *, S: int) -> np.ndarray:
    """Return the norm of what the expansion leaves, for each inner step."""
    network, batch = smooth_problem(seed, S=S)
    G = domain_gradients(network, batch)
    pairs = torch.stack([one @ other for one, other in combinations(G, 2)])
    curvature = gradient(pairs.sum(), network)
    orders = list(permutations(range(S)))
    return norms(
        mean_way(network, batch, orders, a) - a * sum(G) + a**2 / 2 * curvature
        for a in INNER_STEPS
    )
