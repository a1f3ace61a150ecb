"""MLDG's loss rewards aligned gradients of its two halves, to first order in lambda.

    L_A(theta) + L_B(theta - lambda grad L_A)
        = L_A + L_B - lambda <grad L_A, grad L_B> + O(lambda^2)

The measured value is the order of the remainder in lambda, its root mean square over
five problems. Without the inner product it would be 1. The problems are generated from
the seed; the statement holds for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 2, (2.1) and (2.2).
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import (
    log_slopes,
    root_mean_square,
    slope_figure,
    slope_table,
)
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    gradient,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.erm import erm_loss
from ftml.families.domain_generalization.mldg import mldg_loss


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of what the expansion leaves."""
    rests = [remainders(10 * seed + i) for i in range(5)]
    curves = {
        "with the inner product": root_mean_square([rest[0] for rest in rests]),
        "without it": root_mean_square([rest[1] for rest in rests]),
    }
    return Evidence(
        expected=2.0,
        measured=log_slopes(INNER_STEPS, curves)["with the inner product"],
        tolerance=TOLERANCE,
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="look-ahead lambda",
            ylabel="remainder of the expansion",
        ),
    )


def remainders(seed: int) -> np.ndarray:
    """Return what is left with the inner product, and without it, (2, steps)."""
    network, batch = smooth_problem(seed, S=4)
    A, B = batch.only([0, 3]), batch.only([1, 2])
    L_A, L_B = (erm_loss(network(part.x), part.y, part.weight) for part in (A, B))
    product = gradient(L_A, network) @ gradient(L_B, network)
    losses = [
        mldg_loss(network, A, B, inner_learning_rate=a)["loss"] for a in INNER_STEPS
    ]
    both = np.array([float((loss - L_A - L_B).detach()) for loss in losses])
    return np.array([both + INNER_STEPS * float(product), both])
