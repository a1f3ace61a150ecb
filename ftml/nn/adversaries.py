"""Two networks that are adversaries: a generator and a discriminator.

Axes: B batch, d values of a sample, m dimension of noise, C channels, H x W pixels.

Source: Deep learning cheat sheet, section 19.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ftml.nn.autoencoder_networks import Downward, Upward
from ftml.nn.mlp import MLP


class Adversaries(nn.Module):
    """A generator of data from noise, and a discriminator of real and generated data.

    width: of convolutions in both; without one both are dense, `hidden` their units,
    the discriminator's in the reverse order. pixels: what is made is between 0 and 1.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code: int,
        *,
        hidden: Sequence[int] = (),
        width: int | None = None,
        pixels: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.pixels, self.width = tuple(shape), pixels, width
        self.generator: nn.Module
        self.discriminator: nn.Module
        if width is None:
            d = math.prod(shape)
            self.generator = MLP((code, *hidden, d), generator=generator)
            self.discriminator = MLP((d, *reversed(hidden), 1), generator=generator)
        else:
            self.generator = Upward(code, shape, width=width, generator=generator)
            self.discriminator = Downward(
                shape, 1, width=width, slope=0.2, generator=generator
            )

    def decode(self, z: Tensor) -> Tensor:
        """Return what the generator makes of noise z (B, m)."""
        x: Tensor = self.generator(z)
        x = torch.sigmoid(x) if self.pixels else x
        return x if self.width else x.unflatten(1, self.shape)

    def log_odds(self, x: Tensor) -> Tensor:
        """Return the log-odds that each x is of the data, (B,)."""
        x = x if self.width else x.flatten(1)
        odds: Tensor = self.discriminator(x)
        return odds.squeeze(1)
