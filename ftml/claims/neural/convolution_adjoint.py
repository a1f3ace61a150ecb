"""Backpropagation of a convolution is its adjoint: <x * w, y> = <x, x_bar>.

    x_bar = y padded, correlated with w turned round,   w_bar = x correlated with y

x_bar and w_bar are the gradients of <x * w, y> in x and w; the output is linear in
each, so both products equal it. The measured value is the largest relative gap, over
three channels and two filters.

Source: Deep learning cheat sheet, section 13.6, backpropagation for convolution.
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.by_hand import Convolution


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of the three products."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = normal(4, 3, 7, 6).requires_grad_()
    w = normal(2, 3, 3, 2).requires_grad_()
    z = Convolution.apply(x, w, torch.zeros(2, dtype=torch.float64))
    y = normal(*z.shape)
    whole = (z * y).sum()
    x_bar, w_bar = torch.autograd.grad(whole, (x, w))
    products = torch.stack([(x * x_bar).sum(), (w * w_bar).sum()])
    scale = z.detach().norm() * y.norm()
    gap = ((products - whole).abs() / scale).max()
    return Evidence(expected=0.0, measured=float(gap.detach()), tolerance=1e-14)
