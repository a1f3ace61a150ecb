"""A masked network whose output i is a function of the inputs before i alone.

Axes: B batch, d values of a sample.

Source: Deep learning cheat sheet, section 19, the taxonomy of generative models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.activations import ACTIVATIONS
from ftml.nn.mlp import MLP


def made_masks(d: int, hidden: Sequence[int]) -> list[Tensor]:
    """Return the masks of a MADE's layers, (outputs, inputs) of zeros and ones.

    Input j has degree j + 1, and hidden units the degrees 1, ..., d - 1 over and over.
    A hidden unit sees what is of its degree or a lower one, output i what is of a lower
    degree than i + 1: thus of the inputs only those before i.
    """
    order = torch.arange(1, d + 1)
    masks, before = [], order
    for units in hidden:
        degrees = torch.arange(units) % max(d - 1, 1) + 1
        masks.append((degrees[:, None] >= before).float())
        before = degrees
    masks.append((order[:, None] > before).float())
    return masks


class MADE(nn.Module):
    """A network whose output i is a function of the inputs before i alone.

    The weights of an MLP, times masks of zeros and ones. d: values of a sample.

    Source: also Germain et al. 2015, "MADE: masked autoencoder for distribution
    estimation".
    """

    def __init__(
        self,
        d: int,
        *,
        hidden: Sequence[int],
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.dense = MLP((d, *hidden, d), activation=activation, generator=generator)
        self.masks = made_masks(d, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-odds (B, d) that each value is 1, given those before it."""
        for i, (layer, mask) in enumerate(
            zip(self.dense.layers, self.masks, strict=True)
        ):
            affine = cast(nn.Linear, layer)
            x = x if i == 0 else ACTIVATIONS[self.activation](x)
            x = F.linear(x, affine.weight * mask.to(x.device), affine.bias)
        return x
