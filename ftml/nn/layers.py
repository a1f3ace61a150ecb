"""Layers that torch lacks in this form, for one network or for a stack of them.

A stack of M networks of one shape has its parameters side by side, (M, ...), and takes
x (M, B, d): `torch.func.functional_call` puts them in. A layer without such a form says
so. What is random comes from a `Draw`, which is None when the network only predicts.

Axes: M entries of a stack, B batch, d inputs, C channels, H x W pixels.

Source: Deep learning cheat sheet, sections 13.13.4 and 13.13.5 (Inception), 13.14
(locally connected), 14.10 (batch normalisation) and 14.13 (dropout).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """torch's affine map on the device "meta": the network that has it draws it."""

    def __init__(self, d: int, k: int, *, bias: bool = True) -> None:
        super().__init__(d, k, bias=bias, device="meta")

    def reset_parameters(self) -> None:
        """Draw nothing: on "meta" torch's way costs more than the layer itself."""


class Conv2d(nn.Conv2d):
    """torch's convolution on the device "meta": the network that has it draws it."""

    def __init__(
        self,
        channels: int,
        n_filters: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(
            channels, n_filters, size, stride, padding, bias=bias, device="meta"
        )

    def reset_parameters(self) -> None:
        """Draw nothing, as in `Linear`."""


class Draw:
    """Random numbers for a network, or for each entry of a stack from its generator."""

    def __init__(self, generators: Sequence[torch.Generator], *, stacked: bool) -> None:
        self.generators, self.stacked = generators, stacked

    def uniform(self, like: Tensor) -> Tensor:
        """Return uniform numbers in [0, 1) of the shape of `like`."""
        return self._filled(like, torch.Tensor.uniform_)

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal numbers of the shape of `like`."""
        return self._filled(like, torch.Tensor.normal_)

    def _filled(self, like: Tensor, fill: object) -> Tensor:
        found = torch.empty(like.shape, dtype=like.dtype)
        parts = found.unbind(0) if self.stacked else (found,)
        for part, generator in zip(parts, self.generators, strict=True):
            fill(part, generator=generator)  # type: ignore[operator]
        return found.to(like.device)


def dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return W x + b: (B, o), or (M, B, o) for weights (M, o, d), biases (M, o)."""
    if weight.ndim == 2:
        return F.linear(x, weight, bias)
    return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))


def dropout(x: Tensor, rate: float, draw: Draw | None) -> Tensor:
    """Return x with each number zeroed with probability `rate`, the others scaled.

    The others are divided by 1 - rate in training, so that nothing is left to do when
    the network predicts: the notes multiply the weights by 1 - rate there instead.
    Without a `draw`, x itself.
    """
    if draw is None or rate == 0:
        return x
    kept = draw.uniform(x) >= rate
    return x * kept / (1 - rate)


class BatchNorm(nn.Module):
    """alpha (x - mu) / sqrt(var + delta) + beta, mu and var of each unit over a batch.

    In training mu and var are those of the batch, and the gradient goes through them;
    their running means serve in evaluation. x: (..., B, d), normalised over B. A bias
    before it is redundant, and positive factors of the weights before it change
    nothing.
    """

    momentum = 0.1
    "share of a batch in the running statistics"

    delta = 1e-5

    mean: Tensor
    var: Tensor

    def __init__(self, d: int, *, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(d, device=device))
        self.shift = nn.Parameter(torch.zeros(d, device=device))
        self.register_buffer("mean", torch.zeros(d, device=device))
        self.register_buffer("var", torch.ones(d, device=device))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Put in the constants that it starts with."""
        self.scale.fill_(1.0)
        self.shift.zero_()
        self.mean.zero_()
        self.var.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of its shape."""
        mean, var = self.mean, self.var
        if self.training:
            var, mean = torch.var_mean(x, dim=-2, correction=0)
            with torch.no_grad():
                B = x.shape[-2]
                unbiased = var * (B / max(B - 1, 1))  # as torch keeps it
                self.mean.lerp_(mean, self.momentum)
                self.var.lerp_(unbiased, self.momentum)
        factor = self.scale * torch.rsqrt(var + self.delta)
        return (x - mean.unsqueeze(-2)) * factor.unsqueeze(-2) + self.shift.unsqueeze(
            -2
        )


class LocallyConnected(nn.Module):
    """A convolution whose filters differ from place to place: no shared weights.

    (B, C, H, W) becomes (B, K, H - p + 1, W - p + 1) with (p p C + 1) O K parameters, O
    the number of places.
    """

    unit_axes = 2
    "Axes of the weight that count units: places and filters."

    def __init__(
        self,
        channels: int,
        n_filters: int,
        size: int,
        image: tuple[int, int],
        *,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.size, self.shape = size, (image[0] - size + 1, image[1] - size + 1)
        if min(self.shape) < 1:
            raise ValueError(
                f"images of {image[0]} x {image[1]} pixels are smaller than a filter "
                f"of {size} x {size}"
            )
        places = self.shape[0] * self.shape[1]
        self.weight = nn.Parameter(
            torch.empty(places, n_filters, channels * size**2, device=device)
        )
        self.bias = nn.Parameter(torch.empty(places, n_filters, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps (B, K, H', W') of x (B, C, H, W)."""
        patches = F.unfold(x, self.size).permute(2, 0, 1)  # (O, B, C p p)
        z = dense(patches, self.weight, self.bias)  # (O, B, K)
        return z.permute(1, 2, 0).unflatten(2, self.shape)


class Inception(nn.Module):
    """Four branches side by side: 1 x 1, 3 x 3, 5 x 5 and a pool, joined as channels.

    1 x 1 convolutions come before the larger filters, where they make fewer channels,
    and after the pool. (B, C, H, W) becomes (B, 4 w, H, W); w is even. The weights are
    on "meta".

    Source: also Szegedy et al. 2015, "Going deeper with convolutions", figure 2(b).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        few = width // 2
        self.one = Conv2d(channels, width, 1)
        self.reduce3 = Conv2d(channels, few, 1)
        self.three = Conv2d(few, width, 3, padding=1)
        self.reduce5 = Conv2d(channels, few, 1)
        self.five = Conv2d(few, width, 5, padding=2)
        self.pooled = Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the four branches, (B, 4 w, H, W), for x (B, C, H, W)."""
        branches = (
            self.one(x),
            self.three(F.relu(self.reduce3(x))),
            self.five(F.relu(self.reduce5(x))),
            self.pooled(F.max_pool2d(x, 3, stride=1, padding=1)),
        )
        return F.relu(torch.cat(branches, dim=1))
