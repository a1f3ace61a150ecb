"""Encoders that read a sequence, and decoders that write another.

Axes: B batch, S times of the source, U symbols written, V symbols of the target and 1
boundary, number V, which begins and ends it; d dimension of a vector, u units.

Source: Deep learning cheat sheet, section 16.3; Sutskever et al. 2014, "Sequence to
sequence learning with neural networks"; Luong et al. 2015, "Effective approaches to
attention-based neural machine translation"; Vaswani et al. 2017, "Attention is all you
need".
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ftml.nn.beam_search import Memory, State
from ftml.nn.layers import Draw, dropout
from ftml.nn.recurrent import Recurrent, fused, reversed_in_time
from ftml.nn.sequence_networks import Embedding, linear


class EncoderDecoder(nn.Module):
    """An LSTM that reads, another that writes from the state that the first ended in.

    reverse: the source is read from its end. attention: at each symbol the decoder's
    state h is compared with those of the encoder, and the output follows from both,

        a_s = softmax_s(h' W e_s),   tanh(C [sum_s a_s e_s; h])

    The encoder then reads in both directions.
    """

    def __init__(
        self,
        *,
        n_source: int,
        n_target: int,
        d: int,
        units: int,
        n_layers: int,
        reverse: bool,
        attention: bool,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.reverse, self.attention, self.dropout = reverse, attention, dropout
        self.n_layers, self.units = n_layers, units
        self.source = Embedding(n_source, d, generator=generator)
        self.target = Embedding(n_target + 1, d, generator=generator)
        options: Any = {
            "n_layers": n_layers,
            "dropout": dropout,
            "generator": generator,
        }
        self.encoder = Recurrent("lstm", d, units, bidirectional=attention, **options)
        self.decoder = Recurrent("lstm", d, units, **options)
        width = units * (2 if attention else 1)
        self.bridge = linear(width, 2 * n_layers * units, generator)
        if attention:
            self.compare = linear(units, width, generator)
            self.combine = linear(units + width, units, generator)
        self.head = linear(units, n_target + 1, generator)

    def read(
        self, x: Tensor, mask: Tensor, draw: Draw | None = None
    ) -> tuple[Memory, State]:
        """Return the encoder's states, and those that the decoder begins in.

        x: (B, S) symbols. mask: (B, S), true before the end.
        """
        vectors = dropout(self.source(x), self.dropout, draw)
        if self.reverse:
            vectors = reversed_in_time(vectors, mask)
        found = self.encoder(vectors, mask, draw)
        start = torch.tanh(self.bridge(self.encoder.last(found, mask)))
        return (found, mask), start.chunk(2 * self.n_layers, dim=1)

    def write(
        self, y: Tensor, state: State, memory: Memory, draw: Draw | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """Return logits (B, U, V + 1) of what follows each of y (B, U), the attention
        (B, U, S), and the state after the last. Without attention it is empty.
        """
        h, after = dropout(self.target(y), self.dropout, draw), list[Tensor]()
        for layer in range(self.n_layers):
            begin = (state[2 * layer], state[2 * layer + 1])
            h, last = fused("lstm", h, begin, self.decoder.weights(layer))
            h = dropout(h, self.dropout, draw)
            after += last
        share = h.new_zeros(*y.shape, 0)
        if self.attention:
            read, mask = memory
            score = self.compare(h) @ read.transpose(1, 2)
            share = score.masked_fill(~mask[:, None], -torch.inf).softmax(dim=2)
            h = torch.tanh(self.combine(torch.cat([share @ read, h], dim=2)))
        return self.head(h), share, tuple(after)


class Attention(nn.Module):
    """Several heads: softmax(Q K' / sqrt(d_head)) V, put together by one map."""

    def __init__(self, d: int, heads: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            linear(d, d, generator) for _ in range(4)
        )

    def forward(self, x: Tensor, other: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return what x (B, U, d) sees of other (B, S, d), and the mean share of the
        heads, (B, U, S). seen: (B, 1 or U, S), what may be looked at.
        """
        q, k, v = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(x), self.key(other), self.value(other))
        )
        score = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        share = score.masked_fill(~seen[:, None], -torch.inf).softmax(dim=3)
        return self.out((share @ v).transpose(1, 2).flatten(2)), share.mean(dim=1)


class Layer(nn.Module):
    """Attention to itself, to the source where it writes, and two dense layers.

    Each is given its input normalised, and adds to it.
    """

    def __init__(
        self, d: int, heads: int, *, writes: bool, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.itself = Attention(d, heads, generator)
        self.source = Attention(d, heads, generator) if writes else None
        self.wide, self.narrow = (
            linear(d, 4 * d, generator),
            linear(4 * d, d, generator),
        )
        self.norms = nn.ModuleList(norm(d, generator) for _ in range(2 + writes))

    def forward(
        self,
        x: Tensor,
        seen: Tensor,
        memory: Memory | None,
        rate: float,
        draw: Draw | None,
    ) -> tuple[Tensor, Tensor]:
        """Return x (B, U, d) a layer further, and what it saw of the source."""
        own = self.norms[0](x)
        found, share = self.itself(own, own, seen)
        x = x + dropout(found, rate, draw)
        if self.source is not None and memory is not None:
            read, mask = memory
            found, share = self.source(self.norms[2](x), read, mask[:, None])
            x = x + dropout(found, rate, draw)
        found = self.narrow(torch.relu(self.wide(self.norms[1](x))))
        return x + dropout(found, rate, draw), share


def norm(d: int, generator: torch.Generator | None) -> nn.LayerNorm:
    """Return a layer that normalises, initially to standard deviation 1 and mean 0."""
    layer = nn.LayerNorm(d, device="meta")
    if generator is not None:
        layer.to_empty(device=generator.device)
        layer.reset_parameters()  # constants: no random numbers
    return layer


def positions(T: int, d: int, like: Tensor) -> Tensor:
    """Return sines and cosines of the place, (T, d), by wave lengths up to 10,000."""
    rate = torch.exp(torch.arange(0, d, 2, device=like.device) * (-math.log(1e4) / d))
    angle = torch.arange(T, device=like.device)[:, None] * rate
    return (
        torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :d].to(like.dtype)
    )


class Transformer(nn.Module):
    """Attention alone: source symbols attend to each other, targets to earlier ones.

    Sines and cosines encode the positions. d must be even and a multiple of `heads`.
    """

    def __init__(
        self,
        *,
        n_source: int,
        n_target: int,
        d: int,
        heads: int,
        n_layers: int,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if d % heads or d % 2:
            raise ValueError(f"dimension {d} is odd or no multiple of {heads} heads")
        self.dropout, self.d = dropout, d
        self.source = Embedding(n_source, d, std=1.0, generator=generator)
        self.target = Embedding(n_target + 1, d, std=1.0, generator=generator)
        self.reads, self.writes = (
            nn.ModuleList(
                Layer(d, heads, writes=writes, generator=generator)
                for _ in range(n_layers)
            )
            for writes in (False, True)
        )
        self.norm_read, self.norm_write = norm(d, generator), norm(d, generator)
        self.head = linear(d, n_target + 1, generator)

    def read(
        self, x: Tensor, mask: Tensor, draw: Draw | None = None
    ) -> tuple[Memory, State]:
        """Return what was read, and a state in which nothing is written.

        x: (B, S) symbols. mask: (B, S), true before the end.
        """
        h = self._placed(self.source(x), draw)
        for layer in self.reads:
            h, _ = layer(h, mask[:, None], None, self.dropout, draw)
        return (self.norm_read(h), mask), (x[:, :0],)

    def write(
        self, y: Tensor, state: State, memory: Memory, draw: Draw | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """Return logits (B, U, V + 1) of what follows each of y (B, U), the attention
        of the last layer to the source, (B, U, S), and the state after the last: all
        that is written.
        """
        whole = torch.cat([state[0], y], dim=1)
        U = whole.shape[1]
        earlier = torch.ones(1, U, U, dtype=torch.bool, device=y.device).tril()
        h, share = self._placed(self.target(whole), draw), memory[0]
        for layer in self.writes:
            h, share = layer(h, earlier, memory, self.dropout, draw)
        new = state[0].shape[1]
        return self.head(self.norm_write(h[:, new:])), share[:, new:], (whole,)

    def _placed(self, x: Tensor, draw: Draw | None) -> Tensor:
        x = x + positions(x.shape[1], self.d, x)
        return dropout(x, self.dropout, draw)
