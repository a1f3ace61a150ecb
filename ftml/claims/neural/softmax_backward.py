"""The backward pass of a softmax needs a sum over all outputs; logits may be large.

    r_bar = -sum_i y_bar_i e^(z_i) / r^2,   z_bar_j = y_j (y_bar_j - sum_i y_bar_i y_i)

r = sum_j e^(z_j). The notes lose the sum over i in r_bar (mistake 17), and take e^z
where it overflows. The measured value is the largest gap of z_bar to central
differences for twenty random rows of five logits, beside the same for the printed
formula; rows shifted by 1,000 must give the same z_bar, and each sums to 0.

Source: CS280 homework 1, (b) and (c).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.by_hand import Softmax

MISTAKES = (17,)

STEP = 1e-5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a gradient, and the value in the source."""
    generator = torch.Generator().manual_seed(seed)
    z, bar = torch.randn(2, 20, 5, generator=generator, dtype=torch.float64)
    columns = [
        ((softmax(z + move) - softmax(z - move)) * bar).sum(dim=1) / (2 * STEP)
        for move in STEP * torch.eye(5, dtype=torch.float64)
    ]
    expected = torch.stack(columns, dim=1)
    gaps = [
        (gradients(z, bar) - expected).abs().max(),
        (gradients(z + 1000.0, bar) - expected).abs().max(),
        gradients(z, bar).sum(dim=1).abs().max(),
    ]
    weights, r = z.exp(), z.exp().sum(dim=1, keepdim=True)
    printed = bar * weights / r - bar * weights / r**2 * weights
    return Evidence(
        expected=0.0,
        measured=float(torch.stack(gaps).max()),
        tolerance=1e-9,
        value_in_source=float((printed - expected).abs().max()),
    )


def softmax(z: Tensor) -> Tensor:
    """Return the softmax of each row of z (B, k)."""
    y: Tensor = Softmax.apply(z)
    return y


def gradients(z: Tensor, bar: Tensor) -> Tensor:
    """Return z_bar for y_bar, both (B, k)."""
    z = z.clone().requires_grad_()
    (found,) = torch.autograd.grad(softmax(z), z, bar)
    return found
