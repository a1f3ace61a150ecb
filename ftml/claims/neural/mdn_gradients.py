"""The gradient of a mixture density network is responsibility times a distance.

    dL/da_pi = gamma - pi,   dL/dg = gamma (y - g) / v,
    dL/da_v = gamma ((y - g)^2 / v - 1) / 2,   gamma_k = pi_k p_k / sum_j pi_j p_j

L = ln sum_k pi_k N(y; g_k, v_k) with pi = softmax(a_pi) and v = exp(a_v). The measured
value is the largest gap between the gradients that the family descends along and
central differences of L at fifty random points, relative to the largest gradient.

Source: Exam solutions, "NN & conditional density mixture", (2).
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.mixture import NegativeLogLikelihood

STEP = 1e-5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a gradient."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(50, 9, generator=generator, dtype=torch.float64)
    y = torch.randn(50, generator=generator, dtype=torch.float64)
    outputs.requires_grad_()
    (gradients,) = torch.autograd.grad(loss(outputs, y).sum(), outputs)
    with torch.no_grad():
        columns = [
            (loss(outputs + move, y) - loss(outputs - move, y)) / (2 * STEP)
            for move in STEP * torch.eye(9, dtype=torch.float64)
        ]
    gap = (gradients - torch.stack(columns, dim=1)).abs().max() / gradients.abs().max()
    return Evidence(expected=0.0, measured=float(gap), tolerance=1e-8)


def loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return -ln p(y | x), (B,)."""
    found: torch.Tensor = NegativeLogLikelihood.apply(outputs, y)
    return found
