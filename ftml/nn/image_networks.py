"""Three small networks for images: LeNet-5, an Inception net, a locally connected net.

Axes: B batch, C channels, H x W pixels, k classes. Weights are uniform with variance 2
/ fan_in, which keeps the size of what goes through ReLU layers, biases 0; they are
drawn from `generator` alone, and without one are on the device "meta". Dropout is in
the dense layers.

Source: Deep learning cheat sheet, sections 13.13.1 to 13.14, and 14.10.2 for the
initialisation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.layers import Conv2d, Draw, Inception, LocallyConnected
from ftml.nn.mlp import MLP

SMALLEST = 4
"Pixels along the shorter side of an image, at least."


def _start(network: nn.Module, generator: torch.Generator | None) -> None:
    """Draw the weights of a network whose modules stand on "meta"."""
    if generator is None:
        return
    network.to_empty(device=generator.device)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected):
                fan_in = module.weight[0].numel()
                if isinstance(module, LocallyConnected):
                    fan_in = module.weight.shape[-1]
                bound = (6 / fan_in) ** 0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


def _check(image: tuple[int, int, int]) -> None:
    if min(image[1:]) < SMALLEST:
        raise ValueError(
            f"images of {image[1]} x {image[2]} pixels are too small; "
            f"expected {SMALLEST} x {SMALLEST} at least"
        )


class LeNet(nn.Module):
    """LeNet-5: two convolutions 5 x 5 with max-pooling, dense layers of 120 and 84.

    ReLU for the sigmoids of 1998, and maxima for its means. image: (C, H, W). The first
    convolution is padded, as on 28 x 28 images; the second as well where its input has
    fewer than 6 pixels a side. The second pool keeps the half-filled windows at the end
    of a side where the last pixels would else reach nothing: sides 15, 19, 23, ...
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        n_classes: int,
        *,
        hidden_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(image)
        channels, H, W = image
        h, w = H // 2, W // 2
        padding = 0 if min(h, w) >= 6 else 2
        self.first = Conv2d(channels, 6, 5, padding=2)
        self.second = Conv2d(6, 16, 5, padding=padding)
        self.keeps_end = padding == 0 and 3 in (H % 4, W % 4)
        odd = int(self.keeps_end)
        h, w = ((side + 2 * padding - 4 + odd) // 2 for side in (h, w))
        self.dense = MLP(
            (16 * h * w, 120, 84, n_classes), hidden_dropout=hidden_dropout
        )
        _start(self, generator)

    def maps(self, x: Tensor) -> Tensor:
        """Return what the dense layers are given, (B, 16 h w), for x (B, C, H, W)."""
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2, ceil_mode=self.keeps_end)
        return x.flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer is given, (B, 84), for x (B, C, H, W)."""
        return self.dense.features(self.maps(x))

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the outputs (B, k) for x (B, C, H, W)."""
        z: Tensor = self.dense(self.maps(x), draw)
        return z


class InceptionNet(nn.Module):
    """A convolution 3 x 3, a pool, two Inception blocks, the mean of each map, a head.

    image: (C, H, W). width: w, even, the channels of the first convolution and of each
    branch.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        n_classes: int,
        *,
        width: int,
        hidden_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(image)
        self.stem = Conv2d(image[0], width, 3, padding=1)
        self.blocks = nn.ModuleList(
            [
                Inception(width, width),
                Inception(4 * width, width),
            ]
        )
        self.dense = MLP((4 * width, n_classes), input_dropout=hidden_dropout)
        _start(self, generator)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the outputs (B, k) for x (B, C, H, W)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        for block in self.blocks:
            x = block(x)
        z: Tensor = self.dense(x.mean(dim=(2, 3)), draw)
        return z


class LocallyConnectedNet(nn.Module):
    """A convolution 3 x 3, a pool, a locally connected layer 3 x 3, dense layers.

    image: (C, H, W). width: filters of both. hidden: units of the dense layers.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        n_classes: int,
        *,
        width: int,
        hidden: tuple[int, ...],
        hidden_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(image)
        channels, H, W = image
        size = min(3, H // 2, W // 2)
        self.shared = Conv2d(channels, width, 3, padding=1)
        self.local = LocallyConnected(
            width, width, size, (H // 2, W // 2), device="meta"
        )
        places = self.local.shape[0] * self.local.shape[1]
        self.dense = MLP(
            (width * places, *hidden, n_classes), hidden_dropout=hidden_dropout
        )
        _start(self, generator)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the outputs (B, k) for x (B, C, H, W)."""
        x = F.max_pool2d(F.relu(self.shared(x)), 2)
        x = F.relu(self.local(x))
        z: Tensor = self.dense(x.flatten(1), draw)
        return z
