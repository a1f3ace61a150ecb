"""A multilayer perceptron. Axes: B batch, M entries, layers of sizes d_0, ..., d_L."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from ftml.nn.activations import ACTIVATIONS, maxout
from ftml.nn.layers import BatchNorm, Draw, Linear, dense, dropout


class MLP(nn.Module):
    """Dense layers, sigma between: z = W_L sigma(... sigma(W_1 x + b_1) ...) + b_L.

    sizes: (d_0, ..., d_L), each >= 1; (d, k) is a linear model. activation: a name of
    `ACTIVATIONS`. n_pieces: above 1 each hidden unit is the maximum of so many affine
    maps, and there is no other activation. batch_norm: normalises before it.
    input_dropout, hidden_dropout: chances in [0, 1) that an input, a hidden unit is
    left out. Weights and biases of a layer are uniform in +- 1 / sqrt(d_in), as
    torch.nn.Linear draws them, but from `generator` alone; without one they are on
    the device "meta", as a shape for `torch.func.functional_call`, which may put in
    those of M entries side by side (`ftml.nn.layers`).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        n_pieces: int = 1,
        batch_norm: bool = False,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes: expected two or more, each >= 1, got {tuple(sizes)}"
            )
        self.activation, self.n_pieces = activation, n_pieces
        self.input_dropout, self.hidden_dropout = input_dropout, hidden_dropout
        *hidden, (last, k) = pairwise(sizes)
        # On "meta" a layer leaves the global random state unchanged.
        self.layers = nn.ModuleList(
            [Linear(i, o * n_pieces) for i, o in hidden] + [Linear(last, k)]
        )
        self.norms = nn.ModuleList(
            BatchNorm(o * n_pieces, device="meta") for _, o in hidden if batch_norm
        )
        if generator is not None:
            self.to_empty(device=generator.device)
            self._draw(generator)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        bound = 1.0
        # Weights, then biases, layer by layer.
        for parameter in self.layers.parameters():
            if parameter.ndim == 2:
                bound = parameter.shape[1] ** -0.5
            parameter.uniform_(-bound, bound, generator=generator)
        for norm in self.norms:
            cast(BatchNorm, norm).reset_parameters()  # constants: no random numbers

    @property
    def head(self) -> nn.Linear:
        """The last layer, which turns the features into the outputs."""
        return cast(nn.Linear, self.layers[-1])

    def features(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return what the last layer is given, (B, d_{L-1}), for x (B, d_0).

        draw: of dropout, in training; without it no unit is left out. Networks of a
        stack have an axis before B.
        """
        x = dropout(x, self.input_dropout, draw)
        *hidden, _ = self.layers  # a slice would make a module at every pass
        for i, layer in enumerate(hidden):
            affine = cast(nn.Linear, layer)
            x = dense(x, affine.weight, affine.bias)
            if self.norms:
                x = self.norms[i](x)
            if self.n_pieces > 1:
                x = maxout(x, n_pieces=self.n_pieces)
            else:
                x = ACTIVATIONS[self.activation](x)
            x = dropout(x, self.hidden_dropout, draw)
        return x

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the outputs (B, d_L) for x (B, d_0), as `features`."""
        return dense(self.features(x, draw), self.head.weight, self.head.bias)
