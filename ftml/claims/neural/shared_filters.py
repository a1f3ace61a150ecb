"""A locally connected layer whose filters are one and the same is a convolution.

    z_k(place) = <w_k(place), patch> + b_k(place),   w_k(place) = w_k

So a convolution saves parameters by sharing only: the same outputs from O times fewer
weights. The measured value is the largest gap of the outputs, images of three channels.

Source: Deep learning cheat sheet, section 13.14, locally connected network.
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.by_hand import Convolution
from ftml.nn.layers import LocallyConnected


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of an output."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, w, b = normal(5, 3, 8, 7), normal(4, 3, 3, 3), normal(4)
    layer = LocallyConnected(3, 4, 3, (8, 7)).double()
    layer.weight.copy_(w.flatten(1).expand_as(layer.weight))
    layer.bias.copy_(b.expand_as(layer.bias))
    gap = (layer(x) - Convolution.apply(x, w, b)).abs().max()
    return Evidence(expected=0.0, measured=float(gap), tolerance=1e-12)
