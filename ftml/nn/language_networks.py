"""Networks that say how probable each next symbol is.

Axes: B batch, T time, V symbols of the vocabulary and 1 boundary, d numbers of a
vector.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ftml.nn.layers import Draw, dropout
from ftml.nn.prediction import chunk_size
from ftml.nn.recurrent import Recurrent
from ftml.nn.sequence_networks import Embedding, linear


class LogBilinear(nn.Module):
    """log P(w | past) = x_w' z_past + b_w - log sum, z_past = sum_j C_j r_{w_(t-j)}.

    n_past: how many symbols z_past is made of, each with a matrix of its place.
    """

    def __init__(
        self,
        *,
        n_symbols: int,
        d: int,
        n_past: int,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.past = Embedding(n_symbols, d, generator=generator)
        self.places = linear(n_past * d, d, generator)
        self.next = linear(d, n_symbols, generator)

    def forward(self, past: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits of the next symbol, (B, V + 1), for past (B, n_past)."""
        z = self.places(self.past(past).flatten(1))
        logits: Tensor = self.next(dropout(z, self.dropout, draw))
        return logits


class LSTMLanguage(nn.Module):
    """An LSTM over the symbols so far, whose state predicts the next.

    tied: input and output vectors of the symbols are the same, so that
    the state is mapped to d numbers first.
    """

    def __init__(
        self,
        *,
        n_symbols: int,
        d: int,
        units: int,
        n_layers: int,
        tied: bool,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout, self.tied = dropout, tied
        self.embedding = Embedding(n_symbols, d, generator=generator)
        self.core = Recurrent(
            "lstm", d, units, n_layers=n_layers, dropout=dropout, generator=generator
        )
        self.project = linear(units, d, generator)
        if not tied:
            self.next = Embedding(n_symbols, d, generator=generator)
        self.bias = nn.Parameter(torch.empty(n_symbols, device="meta"))
        if generator is not None:
            self.bias = nn.Parameter(torch.zeros(n_symbols))

    def states(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return what predicts the symbol after each of x (B, T), (sum of mask, d), at
        the times where the mask (B, T) is true, row by row.
        """
        h = dropout(self.embedding(x), self.dropout, draw)
        h = dropout(self.core(h, mask, draw)[mask], self.dropout, draw)
        found: Tensor = self.project(h)
        return found

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the next symbol, (m, V + 1), for states (m, d)."""
        table = self.embedding if self.tied else self.next
        return F.linear(states, table.weight, self.bias)


def summed_loss(network: LSTMLanguage, states: Tensor, target: Tensor) -> Tensor:
    """Return the sum of -log P(target), a scalar, for states (m, d) and target (m,).

    Of many logits, those of a chunk of rows are made at a time and again for the
    gradient, so that memory does not grow with m (V + 1).
    """

    def loss(states: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(network.logits(states), target, reduction="sum")

    size = chunk_size(len(network.bias), len(target))
    if len(target) <= size:
        return loss(states, target)
    parts = zip(states.split(size), target.split(size), strict=True)
    losses = [
        checkpoint(loss, *part, use_reentrant=False, preserve_rng_state=False)
        for part in parts
    ]
    return torch.stack(losses).sum()
