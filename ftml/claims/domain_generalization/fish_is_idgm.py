"""Fish with inner step lambda is IDGM with gamma = lambda (S - 1) / 4, to first order.

    E[theta - theta~] / (lambda S) = grad [L_ERM - gamma P] + O(lambda^2)

The measured value is the order of the distance between Fish's mean direction and the
gradient that the family IDGM computes, of the S = 2 to 4 that is farthest from 2. The
notes ask for lambda = 2 sqrt(kappa), where the alignment has the factor 2 kappa: gamma
= lambda^2 / 2 for two domains (mistake 4), which leaves a distance of order 1. The
domains are generated from the seed; the statement holds for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.7).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations

import numpy as np

from ftml.claims._measures import farthest, log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    flat,
    mean_way,
    norms,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.fish import gamma_of
from ftml.families.domain_generalization.idgm import idgm_gradient

MISTAKES = (4,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the distance, and that of the printed version for two
    domains.
    """
    curves = {
        f"{S} domains": distances(seed, S=S, gamma=partial(gamma_of, S=S))
        for S in range(2, 5)
    }
    slopes = log_slopes(INNER_STEPS, curves).values()
    printed = distances(seed, S=2, gamma=lambda a: a**2 / 2)
    curves["2 domains in the notes"] = printed
    return Evidence(
        expected=2.0,
        measured=farthest(slopes, 2),
        tolerance=TOLERANCE,
        value_in_source=log_slopes(INNER_STEPS, {"printed": printed})["printed"],
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="inner step lambda",
            ylabel="distance from IDGM's gradient, norm",
        ),
    )


def distances(seed: int, *, S: int, gamma: Callable[[float], float]) -> np.ndarray:
    """Return the distance of the two directions for each inner step."""
    network, batch = smooth_problem(seed, S=S)
    orders = list(permutations(range(S)))
    return norms(
        mean_way(network, batch, orders, a) / (a * S)
        - flat(idgm_gradient(network, batch, gamma=gamma(a))[1])
        for a in INNER_STEPS
    )
