"""A layer of sigmoids has the squared Jacobian sum_j (z_j (1 - z_j))^2 |W_j|^2.

    z = sigmoid(W x + b):   |dz/dx|_F^2 = sum_j (z_j (1 - z_j))^2 sum_i W_ji^2

That is the penalty of a contractive autoencoder. The measured value is the largest
relative gap of the family's closed form to the Jacobian by torch, at twenty random
rows.

Source: Deep learning cheat sheet, section 17.2.3, contractive autoencoders.
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.families.generative.contractive_autoencoder import squared_jacobian


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of a squared norm."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, W, b = normal(20, 7), normal(4, 7), normal(4)

    def code(row: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(W @ row + b)

    expected = torch.stack([torch.func.jacrev(code)(row).square().sum() for row in x])
    found = squared_jacobian(torch.sigmoid(x @ W.T + b), W)
    gap = ((found - expected).abs() / expected).max()
    return Evidence(expected=0.0, measured=float(gap), tolerance=1e-12)
