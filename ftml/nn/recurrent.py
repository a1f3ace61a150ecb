"""Recurrent cells written out, layers of them, and torch's fused ones.

    rnn   h' = tanh(W x + b + U h + b_U)
    lstm  i, f, o = s(W x + b + U h + b_U),  g = tanh(likewise)
          c' = f c + i g,  h' = o tanh(c')
    gru   r, z = s(W x + b + U h + b_U),  n = tanh(W x + b + r (U h + b_U))
          h' = (1 - z) n + z h

Gates lie one under the other, in torch's order (i, f, g, o; r, z, n), and parameters
have torch's names: weights copy across. Axes: B batch, T time, d inputs, u units.

Source: Deep learning cheat sheet, section 15.3; Homework 4 answers, problems 1 and 2;
Hochreiter and Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers
et al. 2000; Cho et al. 2014, "Learning phrase representations".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ftml.nn.layers import Draw, dropout

Cell = Literal["rnn", "lstm", "gru"]
Squash = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
"h (B, u), and of an LSTM also c."

N_GATES: dict[str, int] = {"rnn": 1, "lstm": 4, "gru": 3}
FUSED: dict[str, Any] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}


def lstm_memory(
    z: Sequence[Tensor], c: Tensor, *, squash: Squash = torch.tanh
) -> State:
    """Return h and c of an LSTM from what its gates are given, i, f, g and o.

    squash: of the input and of the memory; the notes' example has none, the identity.
    """
    i, f, g, o = z
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * squash(g)
    return torch.sigmoid(o) * squash(c), c


def step(cell: str, x: Tensor, state: State, U: Tensor, b: Tensor) -> State:
    """Return the next state of a cell.

    x: W x + b of all gates, (B, gates u). U: (gates u, u) and b (gates u,): of h.
    """
    h, *memory = state
    recurrent = h @ U.T + b
    if cell == "rnn":
        return (torch.tanh(x + recurrent),)
    if cell == "lstm":
        return lstm_memory((x + recurrent).chunk(4, dim=1), memory[0])
    (xr, xz, xn), (r, z, n) = x.chunk(3, dim=1), recurrent.chunk(3, dim=1)
    z = torch.sigmoid(xz + z)
    n = torch.tanh(xn + torch.sigmoid(xr + r) * n)
    return ((1 - z) * n + z * h,)


def unrolled(
    cell: str, x: Tensor, state: State, weights: Sequence[Tensor]
) -> list[State]:
    """Return the state after each time, for x (B, T, d), step by step.

    weights: W (gates u, d), U (gates u, u) and the biases of both.
    """
    W, U, b, b_U = weights
    states = []
    for each in (x @ W.T + b).unbind(dim=1):
        state = step(cell, each, state, U, b_U)
        states.append(state)
    return states


def fused(
    cell: str, x: Tensor, state: State, weights: Sequence[Tensor]
) -> tuple[Tensor, State]:
    """Return h after each time, (B, T, u), and the last state, by torch's loop."""
    start = tuple(each[None].contiguous() for each in state)
    given: Any = start if cell == "lstm" else start[0]
    options = (True, 1, 0.0, False, False, True)  # biases, one layer, batch first
    h, *last = FUSED[cell](x, given, list(weights), *options)
    return h, tuple(each[0] for each in last)


def no_state(cell: str, B: int, like: Tensor) -> State:
    """Return the state before the first time, zeros: of B sequences, U like (., u)."""
    zero = like.new_zeros(B, like.shape[1])
    return (zero, zero) if cell == "lstm" else (zero,)


def reversed_in_time(x: Tensor, mask: Tensor) -> Tensor:
    """Return each sequence of x (B, T, d) with its own end first; padding stays last.

    mask: (B, T), true before the end.
    """
    lengths = mask.sum(dim=1, keepdim=True)
    t = torch.arange(x.shape[1], device=x.device)
    index = torch.where(mask, lengths - 1 - t, t)
    return x.gather(1, index[..., None].expand_as(x))


def at_end(x: Tensor, mask: Tensor) -> Tensor:
    """Return x (B, T, d) at the last time of each sequence, (B, d)."""
    return x[torch.arange(len(x), device=x.device), mask.sum(dim=1) - 1]


class Recurrent(nn.Module):
    """Layers of one cell over sequences of different lengths.

    Parameters have the names and shapes of torch's nn.RNN, nn.LSTM and nn.GRU. A layer
    that runs backwards is given each sequence from its own end. Weights are uniform in
    +- 1 / sqrt(u), from `generator` alone; without one they are on "meta".
    """

    def __init__(
        self,
        cell: str,
        d: int,
        units: int,
        *,
        n_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        fused: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.cell, self.units, self.n_layers = cell, units, n_layers
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.dropout, self.fused = dropout, fused
        rows = N_GATES[cell] * units
        for layer in range(n_layers):
            d_in = d if layer == 0 else units * len(self.directions)
            for direction in self.directions:
                shapes = ((rows, d_in), (rows, units), (rows,), (rows,))
                for name, shape in zip(
                    self._names(layer, direction), shapes, strict=True
                ):
                    empty = torch.empty(shape, device="meta")
                    self.register_parameter(name, nn.Parameter(empty))
        if generator is not None:
            self.to_empty(device=generator.device)
            draw_uniform(self, units**-0.5, generator)

    def _names(self, layer: int, direction: str) -> list[str]:
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [f"{part}_l{layer}{direction}" for part in parts]

    def weights(self, layer: int = 0, direction: str = "") -> list[Tensor]:
        """Return W, U and the two biases of a layer in one direction."""
        return [getattr(self, name) for name in self._names(layer, direction)]

    def forward(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return h at each time of the last layer, (B, T, u), or of both directions,
        (B, T, 2 u); 0 where the mask (B, T) is false.
        """
        for layer in range(self.n_layers):
            if layer:
                x = dropout(x, self.dropout, draw)
            x = torch.cat([self._run(x, mask, layer, d) for d in self.directions], -1)
        return x * mask[..., None]

    def _run(self, x: Tensor, mask: Tensor, layer: int, direction: str) -> Tensor:
        if direction:
            x = reversed_in_time(x, mask)
        weights = self.weights(layer, direction)
        start = no_state(self.cell, len(x), weights[1])
        if self.fused:
            h, _ = fused(self.cell, x, start, weights)
        else:
            states = unrolled(self.cell, x, start, weights)
            h = torch.stack([each[0] for each in states], dim=1)
        return reversed_in_time(h, mask) if direction else h

    def last(self, h: Tensor, mask: Tensor) -> Tensor:
        """Return what each direction has read last, (B, u) or (B, 2 u)."""
        forward = at_end(h[..., : self.units], mask)
        return torch.cat([forward, h[:, 0, self.units :]], dim=1)


@torch.no_grad()
def draw_uniform(module: nn.Module, bound: float, generator: torch.Generator) -> None:
    """Fill all parameters of a module with uniform numbers in +- bound."""
    for parameter in module.parameters():
        parameter.uniform_(-bound, bound, generator=generator)
