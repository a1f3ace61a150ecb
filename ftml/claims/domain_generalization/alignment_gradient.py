"""The gradient of IDGM's reward needs one Hessian-vector product a domain, no more.

    grad P = 2 / (S (S - 1)) sum_i H_i (sum_j G_j - G_i),
    for two domains grad <G_1, G_2> = H_2 G_1 + H_1 G_2

The measured value is the largest relative distance of the family's gradient of L_ERM -
gamma P, one domain after the other and all at once, from that with the S full Hessians,
each built row by row. They may differ only by rounding. The domains are generated from
the seed.

Source: Exam solutions, "Domain generalization (2023)", section 3, (3.1) and (3.2).
"""

from __future__ import annotations

import torch

from ftml.claims._measures import farthest
from ftml.claims.domain_generalization._smooth import (
    domain_gradients,
    flat,
    gradient,
    smooth_problem,
)
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.idgm import idgm_gradient

GAMMA = 0.7


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance over S = 2 to 4 and both modes."""
    gaps = []
    for S in (2, 3, 4):
        network, batch = smooth_problem(seed, S=S)
        G = domain_gradients(network, batch)
        total = torch.stack(G).sum(dim=0).detach()
        hessians = [torch.stack([gradient(row, network) for row in each]) for each in G]
        reward = sum(
            H @ (total - each.detach()) for H, each in zip(hessians, G, strict=True)
        )
        expected = total / S - GAMMA * 2 / (S * (S - 1)) * reward
        for mode in ("autograd", "vmap"):
            found = flat(idgm_gradient(network, batch, gamma=GAMMA, mode=mode)[1])
            gaps.append(float((found - expected).norm() / expected.norm()))
    return Evidence(expected=0.0, measured=farthest(gaps, 0.0), tolerance=1e-11)
