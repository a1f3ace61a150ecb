"""Networks that describe data by codes and make data of codes.

Every one takes and returns data in their shape, (B, d) or (B, C, H, W); dense ones lay
images out as rows inside. Random weights come from `generator` alone; without one they
are on the device "meta", as a shape that weights are loaded into.

Axes: B batch, d values of a sample, m dimension of a code, C channels, H x W pixels, w
width.

Source: Deep learning cheat sheet, section 17.2; Exam solutions, "Convolutional NN
(2021)", for the transposed convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.activations import ACTIVATIONS
from ftml.nn.layers import Conv2d, Linear
from ftml.nn.mlp import MLP


def start(module: nn.Module, generator: torch.Generator | None) -> None:
    """Draw the weights of layers that stand on "meta": variance 2 / inputs, biases 0.

    Of a transposed convolution of stride s each output sees 1 / s^2 of the filter.
    """
    if generator is None:
        return
    module.to_empty(device=generator.device)
    with torch.no_grad():
        for layer in module.modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                continue
            fan_in = float(layer.weight[0].numel())
            if isinstance(layer, nn.ConvTranspose2d):
                fan_in = layer.weight[:, 0].numel() / math.prod(layer.stride)
            bound = (6 / fan_in) ** 0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


class LinearAutoencoder(nn.Module):
    """z = C (x - c),  x' = c + D z, with D = C' where `tied`.

    c is the mean of the training rows, set and not learnt. C and D are (m, d) and (d,
    m).
    """

    center: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        code: int,
        *,
        tied: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape, d = tuple(shape), math.prod(shape)
        self.register_buffer("center", torch.zeros(d, device="meta"))
        self.C = nn.Parameter(torch.empty(code, d, device="meta"))
        self.D = None if tied else nn.Parameter(torch.empty(d, code, device="meta"))
        if generator is None:
            return
        self.to_empty(device=generator.device)
        with torch.no_grad():
            self.center.zero_()
            # C C' is near I, or C' C where there are more codes than values.
            self.C.normal_(std=max(d, code) ** -0.5, generator=generator)
            if self.D is not None:
                # D = C' is then near the best decoder for C.
                self.D.copy_(self.C.T)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, m)."""
        return F.linear(x.flatten(1) - self.center, self.C)

    def decode(self, z: Tensor) -> Tensor:
        """Return data of codes z (B, m)."""
        D = self.C.T if self.D is None else self.D
        return (self.center + F.linear(z, D)).unflatten(1, self.shape)


class Autoencoder(nn.Module):
    """Dense layers to the code and, in the reverse order of sizes, back.

    code_activation: of the code, "linear" for none. pixels: the outputs go through a
    sigmoid, as pixels are between 0 and 1.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code: int,
        *,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        code_activation: str = "linear",
        pixels: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.pixels = tuple(shape), pixels
        self.code_activation = code_activation
        d = math.prod(shape)
        self.encoder = MLP(
            (d, *hidden, code), activation=activation, generator=generator
        )
        self.decoder = MLP(
            (code, *reversed(hidden), d), activation=activation, generator=generator
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, m)."""
        z: Tensor = self.encoder(x.flatten(1))
        if self.code_activation == "linear":
            return z
        return ACTIVATIONS[self.code_activation](z)

    def decode(self, z: Tensor) -> Tensor:
        """Return data of codes z (B, m)."""
        x: Tensor = self.decoder(z)
        x = torch.sigmoid(x) if self.pixels else x
        return x.unflatten(1, self.shape)


class Downward(nn.Module):
    """Two convolutions of stride 2, each halving the sides, and a dense layer.

    (B, C, H, W) becomes (B, outputs); w channels after the first, 2 w after the second.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        *,
        width: int,
        slope: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        channels, H, W = shape
        self.slope = slope
        self.first = Conv2d(channels, width, 3, stride=2, padding=1)
        self.second = Conv2d(width, 2 * width, 3, stride=2, padding=1)
        places = -(-H // 4) * -(-W // 4)
        self.dense = Linear(2 * width * places, outputs)
        start(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs) for x (B, C, H, W)."""
        x = F.leaky_relu(self.first(x), self.slope)
        x = F.leaky_relu(self.second(x), self.slope)
        z: Tensor = self.dense(x.flatten(1))
        return z


class Upward(nn.Module):
    """A dense layer and two transposed convolutions, each doubling the sides.

    (B, m) becomes (B, C, H, W): the maps are cut to H x W where these are no multiples
    of four. Filters are 4 x 4 with stride 2, so that every pixel is written by as many
    weights as any other.
    """

    def __init__(
        self,
        code: int,
        shape: Sequence[int],
        *,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        channels, self.H, self.W = shape
        self.start = (2 * width, -(-self.H // 4), -(-self.W // 4))
        self.dense = Linear(code, math.prod(self.start))
        self.first = nn.ConvTranspose2d(
            2 * width, width, 4, stride=2, padding=1, device="meta"
        )
        self.second = nn.ConvTranspose2d(
            width, channels, 4, stride=2, padding=1, device="meta"
        )
        start(self, generator)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (B, C, H, W), not yet between 0 and 1, of codes z (B, m)."""
        x = F.relu(self.dense(z)).unflatten(1, self.start)
        x = self.second(F.relu(self.first(x)))
        return x[..., : self.H, : self.W]


class ConvAutoencoder(nn.Module):
    """Convolutions to the code, transposed convolutions back; pixels from 0 to 1."""

    def __init__(
        self,
        shape: Sequence[int],
        code: int,
        *,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Downward(shape, code, width=width, generator=generator)
        self.decoder = Upward(code, shape, width=width, generator=generator)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, m)."""
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Return images of codes z (B, m)."""
        return torch.sigmoid(self.decoder(z))
