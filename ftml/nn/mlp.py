"""A plain multilayer perceptron. Axes: B batch, layers of sizes d_0, ..., d_L."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between: z = W_L relu(... relu(W_1 x + b_1) ...) + b_L.

    sizes: (d_0, ..., d_L), each >= 1; (d, k) is a linear model. Weights and biases of a
    layer are uniform in +- 1 / sqrt(d_in), as torch.nn.Linear draws them, but from
    `generator` alone; without one they stand on the device "meta", as a shape for
    `torch.func.functional_call`.
    """

    def __init__(
        self, sizes: Sequence[int], *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes: expected two or more, each >= 1, came {tuple(sizes)}"
            )
        pairs = pairwise(sizes)
        # On "meta" a layer draws nothing, so global random state is left alone.
        self.layers = nn.ModuleList(nn.Linear(i, o, device="meta") for i, o in pairs)
        if generator is not None:
            self.to_empty(device=generator.device)
            self._draw(generator)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        bound = 1.0
        for parameter in self.parameters():  # weights, then biases, layer by layer
            if parameter.ndim == 2:
                bound = parameter.shape[1] ** -0.5
            parameter.uniform_(-bound, bound, generator=generator)

    @property
    def head(self) -> nn.Linear:
        """The last layer, which turns the features into the outputs."""
        return cast(nn.Linear, self.layers[-1])

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer is given, (B, d_{L-1}), for x (B, d_0)."""
        *hidden, _ = self.layers  # a slice would make a module at every pass
        for layer in hidden:
            x = torch.relu(layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, d_L) for x (B, d_0)."""
        z: Tensor = self.head(self.features(x))
        return z
