"""One hidden layer, with the gradient of the course's exercises."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ftml.nn.by_hand import OneHiddenLayer
from ftml.nn.layers import Draw, Linear


class OneHiddenNet(nn.Module):
    """f(x) = theta sigma(W x + b) + c; its backward pass is `OneHiddenLayer`'s.

    d, n_units, k: inputs, hidden units, outputs. activation: a name of `ACTIVATIONS`.
    Weights and biases are uniform in +- 1 / sqrt(inputs), from `generator` alone;
    without one they are on the device "meta".
    """

    def __init__(
        self,
        d: int,
        n_units: int,
        k: int,
        *,
        activation: str,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.hidden = Linear(d, n_units)
        self.head = Linear(n_units, k)
        if generator is not None:
            self.to_empty(device=generator.device)
            with torch.no_grad():
                for layer in (self.hidden, self.head):
                    bound = layer.in_features**-0.5
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return f(x), (B, k), for x (B, d); nothing is drawn."""
        return OneHiddenLayer.apply(
            x,
            self.hidden.weight,
            self.hidden.bias,
            self.head.weight,
            self.head.bias,
            self.activation,
        )
