"""The gradient of MLDG's loss passes through the look-ahead by the Hessian of L_A.

    grad L_meta = grad L_A + beta (I - lambda H_A) grad L_B(theta'),
    theta' = theta - lambda grad L_A

The measured value is the relative distance of the family's gradient from that with the
full Hessian, built row by row, at lambda = 0.5 and beta = 0.8: only rounding. The
first-order version leaves out just the term beta lambda H_A grad L_B(theta') (the
table). The domains are generated from the seed.

Source: Exam solutions, "Domain generalization (2023)", section 2; Li et al. 2018,
"Learning to generalize: meta-learning for domain generalization".
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from ftml.claims._measures import farthest
from ftml.claims.domain_generalization._smooth import flat, gradient, smooth_problem
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.erm import erm_loss
from ftml.families.domain_generalization.mldg import mldg_loss

LAMBDA, BETA = 0.5, 0.8


def check(seed: int, budget: Budget) -> Evidence:
    """Return the relative distance of the gradient from its formula."""
    network, batch = smooth_problem(seed, S=4)
    A, B = batch.only([0, 3]), batch.only([1, 2])
    found = {
        second_order: gradient(
            mldg_loss(
                network,
                A,
                B,
                inner_learning_rate=LAMBDA,
                beta=BETA,
                second_order=second_order,
            )["loss"],
            network,
        )
        for second_order in (True, False)
    }
    L_A = erm_loss(network(A.x), A.y, A.weight)
    G_A = gradient(L_A, network, graph=True)
    H_A = torch.stack([gradient(row, network) for row in G_A])
    theta = flat(network.parameters()).detach()
    nn.utils.vector_to_parameters(
        theta - LAMBDA * G_A.detach(), list(network.parameters())
    )
    G_B = gradient(erm_loss(network(B.x), B.y, B.weight), network)
    missing = BETA * LAMBDA * H_A @ G_B
    exact = G_A.detach() + BETA * G_B - missing
    gaps = {
        "exact": exact,
        "first order": exact + missing,
    }
    distances = [
        float((gradient_ - formula).norm() / exact.norm())
        for gradient_, formula in zip(found.values(), gaps.values(), strict=True)
    ]
    table = pd.DataFrame(
        {
            "gradient": list(gaps),
            "relative distance from its formula": distances,
            "fraction of the missing term": [0.0, float(missing.norm() / exact.norm())],
        }
    )
    return Evidence(
        expected=0.0, measured=farthest(distances, 0.0), tolerance=1e-11, table=table
    )
