"""MLDG's loss rewards aligned gradients of its two halves, to first order in lambda.

    L_A(theta) + L_B(theta - lambda grad L_A)
        = L_A + L_B - lambda <grad L_A, grad L_B> + O(lambda^2)

What is measured is the order of the remainder in lambda. Without the inner product it
would be 1. The domains are drawn from the seed; the statement holds for all of them.

Source: 000_dd65aead3f2d61f3.txt, "Domain generalization (2023)", section 2, (2.1) and
(2.2).
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import log_slopes, slope_figure, slope_table
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
    network, batch = smooth_problem(seed, S=4)
    A, B = batch.only([0, 3]), batch.only([1, 2])
    L_A, L_B = (erm_loss(network(part.x), part.y, part.weight) for part in (A, B))
    product = gradient(L_A, network) @ gradient(L_B, network)
    losses = [
        mldg_loss(network, A, B, inner_learning_rate=a)["loss"] for a in INNER_STEPS
    ]
    both = [float((loss - L_A - L_B).detach()) for loss in losses]
    curves = {
        "with the inner product": np.abs(both + INNER_STEPS * float(product)),
        "without it": np.abs(both),
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
