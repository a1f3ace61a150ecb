"""With a fixed order of the domains, Fish no longer follows the gradient of IDGM.

    fixed:     theta - theta~ = lambda sum_i G_i - lambda^2 sum_{i before j} H_j G_i
    all S!:    the second term becomes (lambda^2 / 2) grad sum_{i<j} <G_i, G_j>

The measured value is the order of the distance between a fixed order's step and IDGM's:
it stays 2. Over all orders, and already over one order and its reverse, it is 3,
otherwise the measured value is NaN. The domains are generated from the seed; the
statement holds for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.4) to (1.3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from ftml.claims._measures import farthest, log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    remainders,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence

ORDERS: dict[str, list[Sequence[int]]] = {
    "fixed order": [range(4)],
    "an order and its reverse": [(2, 0, 3, 1), (1, 3, 0, 2)],
    "all orders": list(permutations(range(4))),
}


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of a fixed order's distance to IDGM's step."""
    network, batch = smooth_problem(seed, S=4)
    curves = {
        name: remainders(network, batch, orders) for name, orders in ORDERS.items()
    }
    fixed, *others = log_slopes(INNER_STEPS, curves).values()
    follow = abs(farthest(others, 3.0) - 3.0) < TOLERANCE
    return Evidence(
        expected=2.0,
        measured=fixed if follow else float("nan"),
        tolerance=TOLERANCE,
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="inner step lambda",
            ylabel="distance from IDGM's step, norm",
        ),
    )
