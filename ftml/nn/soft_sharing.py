"""A perceptron whose weights share a mixture of Gaussians, learnt with them.

Axes: w all weights, K components.

Source: Exam solutions, "Exercise (2022)", 3; Nowlan and Hinton 1992, "Simplifying
neural networks by soft weight-sharing".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ftml.nn.layers import Draw
from ftml.nn.mlp import MLP
from ftml.nn.penalties import mixture_prior, nearest_component

MOST_OF_TORCH = 2**24
"Numbers that torch.quantile takes."
AT_ONCE = 2**20
"Weights whose components are found at once."
SIGMA_MIN = 1e-3
"Least standard deviation of a component, so that its density is bounded."


class SharedMLP(nn.Module):
    """An MLP with the means, log-variances and logits (K,) of its weights' prior.

    The mixture learns like any parameter. `before` keeps the weights that it was begun
    from, (w,). sizes, activation, generator: as of `MLP`.
    """

    before: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        n_components: int,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.mlp = MLP(sizes, activation=activation, generator=generator)
        where = "meta" if generator is None else generator.device
        for name in ("means", "log_variances", "logits"):
            zero = torch.zeros(n_components, device=where)
            self.register_parameter(name, nn.Parameter(zero))
        n = sum(i * o for i, o in pairwise(sizes))
        self.register_buffer("before", torch.zeros(n, device=where))

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the outputs of the MLP."""
        z: Tensor = self.mlp(x, draw)
        return z


def shared_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weight matrices of a `SharedMLP`, by their names."""
    return {name: each for name, each in weights.items() if name.endswith("weight")}


def flat(weights: Mapping[str, Tensor]) -> Tensor:
    """Return all weights in one row, (w,)."""
    return torch.cat([each.flatten() for each in shared_weights(weights).values()])


def mixture(weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return means, log-variances (not below SIGMA_MIN's) and logits, (K,)."""
    floor = 2 * math.log(SIGMA_MIN)
    return (
        weights["means"],
        weights["log_variances"].clamp(min=floor),
        weights["logits"],
    )


def penalty(weights: Mapping[str, Tensor]) -> Tensor:
    """Return R(w), () (`ftml.nn.penalties.mixture_prior`)."""
    return mixture_prior(flat(weights), *mixture(weights))


@torch.no_grad()
def begin_mixture(weights: Mapping[str, Tensor]) -> None:
    """Spread the components over the range of the weights, in place; keep `before`.

    Means at equal distances from the .5 % to the 99.5 % quantile, deviations of half a
    distance, equal shares.
    """
    w = flat(weights)
    K = len(weights["means"])
    low, high = _quantiles(w, (0.005, 0.995))
    places = torch.linspace(0, 1, K, device=w.device) if K > 1 else w.new_tensor([0.5])
    weights["means"].copy_(low + (high - low) * places)
    spacing = (high - low) / max(K - 1, 1)
    weights["log_variances"].fill_(2 * math.log(max(spacing.item() / 2, SIGMA_MIN)))
    weights["logits"].zero_()
    weights["before"].copy_(w)


def _quantiles(w: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Return quantiles of w (n,); torch's own refuses more than 2^24 numbers."""
    if len(w) <= MOST_OF_TORCH:
        return torch.quantile(w, torch.tensor(levels, device=w.device))
    found = np.quantile(w.cpu().numpy(), levels)
    return torch.from_numpy(found.astype(np.float32)).to(w.device)


@torch.no_grad()
def codes(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the most probable component of each weight, uint8, matrix by matrix."""
    parameters = mixture(weights)
    return {
        name: torch.cat(
            [
                nearest_component(part, *parameters).to(torch.uint8)
                for part in each.flatten().split(AT_ONCE)
            ]
        ).view_as(each)
        for name, each in shared_weights(weights).items()
    }
