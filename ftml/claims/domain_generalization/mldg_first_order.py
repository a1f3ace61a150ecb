"""First-order MLDG, in the mean over both roles, rewards half of the alignment.

    exact:        grad [L_A + L_B - lambda <G_A, G_B>] + O(lambda^2)
    first order:  grad [L_A + L_B - (lambda / 2) <G_A, G_B>] + O(lambda^2)

both in the mean over (A, B) and (B, A). The measured value is the weight of the
alignment in the first-order gradient, in units of lambda, found by projection on grad
<G_A, G_B> and extrapolated to lambda = 0 from two values of lambda: its error is then
of the order of lambda^2. The domains are generated from the seed; the statement holds
for all of them.

Source: Exam solutions, "Domain generalization (2023)", section 2; Nichol et al. 2018,
"On first-order meta-learning algorithms", for the first-order version.
"""

from __future__ import annotations

import pandas as pd

from ftml.claims.domain_generalization._smooth import gradient, smooth_problem
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.erm import erm_loss
from ftml.families.domain_generalization.mldg import mldg_loss

LAMBDAS = (1e-3, 5e-4)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the weight of the alignment in the first-order gradient."""
    rows = [
        (name, *(weight(seed, a, second_order=second) for a in LAMBDAS))
        for name, second in (("exact", True), ("first order", False))
    ]
    columns = ["gradient", *(f"lambda = {a}" for a in LAMBDAS)]
    table = pd.DataFrame(rows, columns=columns)
    table["lambda = 0"] = 2 * table.iloc[:, 2] - table.iloc[:, 1]
    return Evidence(
        expected=0.5,
        measured=float(table["lambda = 0"].iloc[1]),
        tolerance=1e-5,
        table=table,
    )


def weight(seed: int, a: float, *, second_order: bool) -> float:
    """Return c where the gradient is that of L_A + L_B - c lambda <G_A, G_B>."""
    network, batch = smooth_problem(seed, S=4)
    parts = batch.only([0, 3]), batch.only([1, 2])
    losses = [erm_loss(network(part.x), part.y, part.weight) for part in parts]
    G_A, G_B = (gradient(loss, network, graph=True) for loss in losses)
    curvature = gradient(G_A @ G_B, network)
    there, back = (
        mldg_loss(network, *each, inner_learning_rate=a, second_order=second_order)
        for each in (parts, parts[::-1])
    )
    meta = (there["loss"] + back["loss"]) / 2
    left = (G_A + G_B).detach() - gradient(meta, network)
    return float(left @ curvature / (a * curvature @ curvature))
