"""An output of a convolutional net depends on the pixels of its receptive field alone.

    dx_i / dx_j = 0  for j not in I_i,   side 1 + sum_l (k_l - 1) prod_{m < l} stride_m

The notes say so for all j "not equal to" the set I_i (mistake 26), which no index ever
is: read literally, no pixel has an effect. The measured value is how many pixels along
a side have a gradient that is not 0 for some of 200 random images, at one output of
LeNet's convolutions and pools. Both pools take an outermost row for one image in four
at least: all 200 miss it with a probability below 1e-24.

Source: Deep learning cheat sheet, section 13.6, receptive field.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.convolution import receptive_field
from ftml.nn.image_networks import LeNet

MISTAKES = (26,)

LAYERS = [(5, 1), (2, 2), (5, 1), (2, 2)]


def check(seed: int, budget: Budget) -> Evidence:
    """Return the pixels along a side that matter beside the formula."""
    generator = torch.Generator().manual_seed(seed)
    net = LeNet((1, 28, 28), 10, generator=generator).double()
    x = torch.randn(200, 1, 28, 28, generator=generator, dtype=torch.float64)
    x.requires_grad_()
    maps = F.max_pool2d(F.relu(net.second(first(net, x))), 2)
    # Summed over maps: an inactive ReLU unit has no gradient.
    (gradient,) = torch.autograd.grad(maps[:, :, 2, 2].sum(), x)
    rows = gradient.abs().amax(dim=(0, 1, 3)) > 0
    return Evidence(
        expected=float(receptive_field(LAYERS)),
        measured=float(rows.sum()),
        tolerance=0.0,
        value_in_source=0.0,
        chance=1e-9,
    )


def first(net: LeNet, x: Tensor) -> Tensor:
    """Return the maps that the second convolution is given."""
    return F.max_pool2d(F.relu(net.first(x)), 2)
