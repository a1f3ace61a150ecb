"""Fish's inner loop moves against the gradients of the previous domains.

    theta~_i - theta = -lambda sum_{j<i} G_j + O(lambda^2)

The measured value is the order of the remainder, for the i that is farthest from 2. The
notes print +lambda sum_{j<i} g_j in (1.3.1) (mistake 2), which leaves 2 lambda sum G_j:
order 1. The domains are generated from the seed; the statement holds for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.1).
"""

from __future__ import annotations

from ftml.claims._measures import farthest, log_slopes, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    domain_gradients,
    norms,
    smooth_problem,
    way,
)
from ftml.evidence import Budget, Evidence

MISTAKES = (2,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the remainder with the minus, and with the plus."""
    network, batch = smooth_problem(seed, S=5)
    G = domain_gradients(network, batch)
    places = (3, 4, 5)  # theta~_2 is one plain step: nothing remains
    curves = {
        f"{word}, i = {i}": norms(
            -way(network, batch, range(i - 1), a) - sign * a * sum(G[: i - 1])
            for a in INNER_STEPS
        )
        for word, sign in (("with the minus", -1.0), ("value in source", 1.0))
        for i in places
    }
    slopes = list(log_slopes(INNER_STEPS, curves).values())
    return Evidence(
        expected=2.0,
        measured=farthest(slopes[: len(places)], 2),
        tolerance=TOLERANCE,
        value_in_source=max(slopes[len(places) :]),
        table=slope_table(INNER_STEPS, curves),
    )
