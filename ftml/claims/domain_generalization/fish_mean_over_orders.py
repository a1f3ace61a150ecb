"""Over all orders of the domains, Fish's mean step rewards aligned gradients.

    E[theta - theta~] = lambda sum_i G_i - (lambda^2 / 2) grad sum_{i<j} <G_i, G_j>
                        + O(lambda^3)

For S = 2 to 5 domains all S! orders are run. The measured value is the order of the
remainder in lambda, for the S that is farthest from 3; one constant wrong and it is 2.
The domains are generated from the seed; the statement holds for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.6); Shi et al.
2022, "Gradient matching for domain generalization".
"""

from __future__ import annotations

from itertools import permutations

from ftml.claims._measures import farthest, log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    remainders,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order for the remainder that is farthest from 3."""
    curves = {}
    for S in range(2, 6):
        network, batch = smooth_problem(seed, S=S)
        curves[f"{S} domains"] = remainders(network, batch, [*permutations(range(S))])
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
