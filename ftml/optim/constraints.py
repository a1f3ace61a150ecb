"""What is done to a gradient before a step, and to parameters after it.

Parameters and gradients are lists of tensors. `lead` is the number of leading axes that
index the entries of a stack: 0 for one network, 1 for (M, ...).

Source: Deep learning cheat sheet, sections 14.5 (clipping), 14.9 (Polyak averaging) and
14.11.1 (projected gradient).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ftml.optim import foreach


def clip(gradient: Sequence[Tensor], limit: float, *, lead: int = 0) -> list[Tensor]:
    """Return min(1, limit / |g|) g, with |g| the norm of the whole gradient."""
    axes = [tuple(range(lead, each.ndim)) for each in gradient]
    squares = [
        each.square().sum(dim=axis) if axis else each.square()
        for each, axis in zip(gradient, axes, strict=True)
    ]
    norm = torch.stack(squares).sum(dim=0).sqrt()  # () or (M,)
    factor = (limit / norm.clamp(min=limit)).to(gradient[0].dtype)
    return [
        each * factor.view(*factor.shape, *[1] * (each.ndim - lead))
        for each in gradient
    ]


def project_ball(v: Tensor, radius: float, *, dim: int = -1) -> Tensor:
    """Return the nearest point of the ball, min(1, r / |v|) v, along an axis.

    The notes' formula lacks the v (mistake 37).
    """
    norm = v.norm(dim=dim, keepdim=True)
    return v * (radius / norm.clamp(min=radius))


@torch.no_grad()
def project_units(weights: Sequence[Tensor], radius: float, *, lead: int = 0) -> None:
    """Bring the incoming weights of each unit into the ball of that radius, in place.

    weights: each (units, ...), after the leading axes.
    """
    for each in weights:
        rows = each.flatten(lead + 1)
        rows.copy_(project_ball(rows, radius))


@torch.no_grad()
def update_mean(mean: list[Tensor], parameters: Sequence[Tensor], *, t: int) -> None:
    """Bring the mean of t - 1 iterates to that of t, in place: Polyak's average."""
    foreach.lerp_(mean, list(parameters), 1.0 / t)
