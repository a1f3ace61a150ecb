"""A small convolutional network for small images, as DomainBed uses for digits.

Axes: B batch, C channels, H x W pixels, w width, k classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.layers import Conv2d, Linear

GROUPS = 8
"Groups of channels that are normalised together."


class CNN(nn.Module):
    """Four 3 x 3 convolutions of w, 2w, 2w, 2w channels, their mean, a linear head.

    Each convolution is followed by ReLU and then GroupNorm(8), in DomainBed's order;
    the second has stride 2. With w = 64 it is DomainBed's MNIST_CNN to the parameter.
    Nothing depends on the other samples of a batch, nor on H and W, each >= 1.

    channels, n_classes: C and k, each >= 1. width: w, a multiple of 8; 16 is enough for
    the 8 x 8 digits. Weights and biases are uniform in +- 1 / sqrt(fan_in), as torch
    draws them, but from `generator` alone; without one they are on the device "meta",
    as a shape for `torch.func.functional_call`.

    Source: Gulrajani and Lopez-Paz 2021, "In search of lost domain generalization", its
    network for the MNIST data sets.
    """

    def __init__(
        self,
        channels: int,
        n_classes: int,
        *,
        width: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("n_classes", n_classes)):
            if value < 1:
                raise ValueError(f"{name}: expected >= 1, got {value}")
        if width < 1 or width % GROUPS:
            raise ValueError(f"width: expected a multiple of {GROUPS}, got {width}")
        sizes = (channels, width, 2 * width, 2 * width, 2 * width)
        # On "meta" a layer leaves the global random state unchanged.
        self.convolutions = nn.ModuleList(
            Conv2d(sizes[i], sizes[i + 1], 3, stride=1 + (i == 1), padding=1)
            for i in range(4)
        )
        self.norms = nn.ModuleList(
            nn.GroupNorm(GROUPS, size, device="meta") for size in sizes[1:]
        )
        self.head = Linear(2 * width, n_classes)
        if generator is not None:
            self.to_empty(device=generator.device)
            self._draw(generator)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.GroupNorm):
                module.reset_parameters()  # constants: no random numbers
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)

    def features(self, x: Tensor) -> Tensor:
        """Return the inputs of the head (B, 2w) for float images x (B, C, H, W)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(F.relu(convolution(x)))
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, k) for float images x (B, C, H, W)."""
        z: Tensor = self.head(self.features(x))
        return z
