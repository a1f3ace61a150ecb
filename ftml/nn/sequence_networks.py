"""Networks that give a sequence a class, and what turns symbols into vectors.

Axes: B batch, T time, d channels, u units, k classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ftml.nn.layers import Draw, Linear, dropout
from ftml.nn.recurrent import Recurrent, draw_uniform

Pooling = Literal["last", "mean", "max"]


def pooled(h: Tensor, mask: Tensor, how: str) -> Tensor:
    """Return the mean or the maximum over the times of each sequence, (B, u).

    h: (B, T, u). mask: (B, T), true before the end.
    """
    if how == "mean":
        return (h * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return h.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)


class Embedding(nn.Embedding):
    """Vectors of symbols, normal with this deviation, drawn from a generator."""

    def __init__(
        self,
        n_symbols: int,
        d: int,
        *,
        std: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_symbols, d, device="meta")
        if generator is not None:
            self.to_empty(device=generator.device)
            with torch.no_grad():
                self.weight.normal_(0.0, std, generator=generator)

    def reset_parameters(self) -> None:
        """Draw nothing: on "meta" torch first imports its compiler, for seconds."""


def linear(d: int, k: int, generator: torch.Generator | None) -> nn.Linear:
    """Return an affine map whose weights are uniform in +- 1 / sqrt(d)."""
    layer = Linear(d, k)
    if generator is not None:
        layer.to_empty(device=generator.device)
        draw_uniform(layer, d**-0.5, generator)
    return layer


class RecurrentClassifier(nn.Module):
    """A recurrent network over a sequence, its states pooled, and an affine map.

    n_inputs: d of sequences of numbers, or how many symbols there are, which then have
    vectors of `embedding` numbers; 0 for numbers. pooling: `last` is what each
    direction has read last.
    """

    def __init__(
        self,
        *,
        cell: str,
        n_inputs: int,
        embedding: int,
        units: int,
        n_layers: int,
        bidirectional: bool,
        pooling: str,
        dropout: float,
        fused: bool,
        n_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.pooling, self.dropout = pooling, dropout
        self.embedding = (
            Embedding(n_inputs, embedding, generator=generator) if embedding else None
        )
        self.core = Recurrent(
            cell,
            embedding or n_inputs,
            units,
            n_layers=n_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            fused=fused,
            generator=generator,
        )
        width = units * len(self.core.directions)
        self.head = linear(width, n_classes, generator)

    def inputs(self, x: Tensor) -> Tensor:
        """Return what the first layer is given, (B, T, d)."""
        return x if self.embedding is None else self.embedding(x)

    def outputs(self, h: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits (B, k) for the states (B, T, u) of the last layer."""
        if self.pooling == "last":
            found = self.core.last(h, mask)
        else:
            found = pooled(h, mask, self.pooling)
        logits: Tensor = self.head(dropout(found, self.dropout, draw))
        return logits

    def forward(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits (B, k) for x (B, T, d), or (B, T) symbols."""
        x = dropout(self.inputs(x), self.dropout, draw)
        return self.outputs(self.core(x, mask, draw), mask, draw)


class CTCNetwork(nn.Module):
    """A bidirectional LSTM that predicts symbols or blanks, several times a symbol."""

    def __init__(
        self,
        *,
        n_source: int,
        n_target: int,
        d: int,
        units: int,
        n_layers: int,
        n_outputs: int,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout, self.n_outputs = dropout, n_outputs
        self.embedding = Embedding(n_source, d, generator=generator)
        self.core = Recurrent(
            "lstm",
            d,
            units,
            n_layers=n_layers,
            bidirectional=True,
            dropout=dropout,
            generator=generator,
        )
        self.head = linear(2 * units, n_outputs * (n_target + 1), generator)

    def forward(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return logits (B, T n_outputs, V + 1), the blank last, for x (B, T)."""
        h = dropout(self.embedding(x), self.dropout, draw)
        h = dropout(self.core(h, mask, draw), self.dropout, draw)
        return self.head(h).unflatten(2, (self.n_outputs, -1)).flatten(1, 2)
