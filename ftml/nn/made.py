"""A masked network whose output i is a function of the inputs before i alone.

Input j has degree j + 1, a hidden unit a degree k from 1 to d - 1. A hidden unit sees
the inputs of degrees up to k, and only outputs after the k-th see it. Output i thus
depends on input j < i exactly if a degree from j + 1 to i exists in every layer. A
layer of fewer than d - 1 units lacks some degrees: the network then has direct weights
from each input to each later output as well, which make every earlier input matter.

Axes: B batch, d values of a sample, n generated samples.

Source: Deep learning cheat sheet, section 19, the taxonomy of generative models;
Germain et al. 2015, "MADE: masked autoencoder for distribution estimation", sections
4.1 and 4.2 (the direct weights: "connections between input and output").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.activations import ACTIVATIONS
from ftml.nn.mlp import MLP

MOST_DIRECT = 2**29
"Largest number of direct weights: 2 GiB, for 23,170 values of a sample."


def made_degrees(d: int, hidden: Sequence[int]) -> list[Tensor]:
    """Return the degrees (units,) of each hidden layer of a MADE.

    A layer has the degrees of the layer before it, the first 1, ..., d - 1, all equally
    often. What is left over is spread evenly over them, and so are the units of a layer
    that is too narrow to have each degree.
    """
    levels, degrees = torch.arange(1, max(d, 2)), []
    for units in hidden:
        cycles, rest = divmod(units, len(levels))
        spread = (2 * torch.arange(rest) + 1) * len(levels) // max(2 * rest, 1)
        degrees.append(torch.cat([levels.repeat(cycles), levels[spread]]))
        levels = degrees[-1].unique()
    return degrees


def made_masks(d: int, hidden: Sequence[int]) -> list[Tensor]:
    """Return the masks of a MADE's layers, (outputs, inputs) of zeros and ones.

    A hidden unit sees what is of its degree or a lower one, output i what is of a lower
    degree than i + 1: thus of the inputs only those before i.
    """
    order = torch.arange(1, d + 1)
    masks, before = [], order
    for degrees in made_degrees(d, hidden):
        masks.append((degrees[:, None] >= before).float())
        before = degrees
    masks.append((order[:, None] > before).float())
    return masks


class MADE(nn.Module):
    """A network whose output i is a function of the inputs before i alone.

    The weights of an MLP, times masks of zeros and ones, and `direct` (d, d), of which
    the part below the diagonal counts, where a layer has fewer than d - 1 units. d:
    values of a sample. Raises ValueError for more direct weights than `MOST_DIRECT`.
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
        self.degrees = made_degrees(d, hidden)
        self.masks = made_masks(d, hidden)
        self.direct: nn.Parameter | None = None
        if min(hidden, default=0) < d - 1:
            _check_size(d)
            where = "meta" if generator is None else generator.device
            self.direct = nn.Parameter(torch.empty(d, d, device=where))
            if generator is not None:
                nn.init.uniform_(self.direct, -(d**-0.5), d**-0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-odds (B, d) that each value is 1, given those before it."""
        z = x
        for i, (layer, mask) in enumerate(
            zip(self.dense.layers, self.masks, strict=True)
        ):
            affine = cast(nn.Linear, layer)
            z = z if i == 0 else ACTIVATIONS[self.activation](z)
            z = F.linear(z, affine.weight * mask.to(x.device), affine.bias)
        return z if self.direct is None else z + F.linear(x, self.direct.tril(-1))

    @torch.inference_mode()
    def sample(self, n: int, uniform: Callable[[], Tensor]) -> Tensor:
        """Return n samples (n, d) of zeros and ones, generated value by value.

        A unit of degree k is computed once, when value k is known: all values together
        cost about as much as one pass. uniform: returns (n,) uniform numbers in [0, 1)
        on the device of the network, for one value after the other.
        """
        layers = [cast(nn.Linear, each) for each in self.dense.layers]
        d, where = len(self.masks[-1]), layers[0].weight.device
        degrees = [torch.arange(1, d + 1), *self.degrees]
        orders = [each.argsort(stable=True) for each in degrees]
        # ends[l][k]: units of layer l, sorted by degree, whose degree is k at most
        ends = [each.bincount(minlength=d + 1).cumsum(0).tolist() for each in degrees]
        values = [torch.empty(n, len(each), device=where) for each in degrees]
        weights = [
            layer.weight[own][:, below]
            for layer, below, own in zip(
                layers, orders, [*orders[1:], orders[0]], strict=True
            )
        ]
        for i in range(d):
            for j, layer in enumerate(layers[:-1]):
                new = slice(ends[j + 1][max(i - 1, 0)], ends[j + 1][i])
                z = values[j][:, : ends[j][i]] @ weights[j][new, : ends[j][i]].T
                z = z + layer.bias[orders[j + 1][new]]
                values[j + 1][:, new] = ACTIVATIONS[self.activation](z)
            seen = ends[-1][i]
            odds = values[-1][:, :seen] @ weights[-1][i, :seen] + layers[-1].bias[i]
            if self.direct is not None:
                odds = odds + values[0][:, :i] @ self.direct[i, :i]
            values[0][:, i] = (uniform() < torch.sigmoid(odds)).float()
        return values[0]


def _check_size(d: int) -> None:
    """Raise ValueError if the direct weights of d values are too many."""
    if d**2 > MOST_DIRECT:
        raise ValueError(
            f"MADE of {d:,} values a sample: the weights from each value to the later "
            f"ones take {4 * d**2 / 2**30:.1f} GiB, more than {MOST_DIRECT / 2**28:g}; "
            "make the images smaller, or use the family vae"
        )
