"""Batch normalisation removes the scale and the bias of the preceding layer.

    BN(a W x + b) = BN(W x)  for a > 0,   <W, dL/dW> = 0,   dL/d(a W) = (1 / a) dL/dW

So a larger weight has a smaller gradient, and the gradient is orthogonal to the
weights. All holds exactly where delta, added to the variance, is 0. The measured value
is the largest relative gap of the three for a random layer of eight units; with delta =
1e-5, as in training, the gaps of the table are of that order.

Source: Deep learning cheat sheet, section 14.10.1, batch normalization.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.layers import BatchNorm

FACTOR = 7.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of the three identities."""
    rows = {delta: gaps(seed, delta=delta) for delta in (0.0, 1e-5)}
    table = pd.DataFrame(rows).rename_axis("identity").reset_index()
    table.columns = ["identity", "delta = 0", "delta = 1e-5"]
    return Evidence(
        expected=0.0, measured=max(rows[0.0].values()), tolerance=1e-12, table=table
    )


def gaps(seed: int, *, delta: float) -> dict[str, float]:
    """Return the relative gap of each identity."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, W, b, target = normal(30, 5), normal(8, 5), normal(8), normal(30, 8)
    layer = BatchNorm(8).double()
    layer.delta = delta

    def normalised(weights: Tensor, bias: Tensor) -> Tensor:
        found: Tensor = layer(x @ weights.T + bias)
        return found

    def gradient(weights: Tensor) -> Tensor:
        weights = weights.clone().requires_grad_()
        loss = ((normalised(weights, b) - target) ** 2).sum()
        return torch.autograd.grad(loss, weights)[0]

    before, after = normalised(W, 0 * b), normalised(FACTOR * W, b)
    g = gradient(W)
    along = (g * W).sum(dim=1) / (g.norm(dim=1) * W.norm(dim=1))
    less = FACTOR * gradient(FACTOR * W) - g
    return {
        "scale and bias change nothing": float((after - before).abs().max().detach()),
        "the gradient is at right angles": float(along.abs().max()),
        "it is 1 / a of what it was": float(less.abs().max() / g.abs().max()),
    }
