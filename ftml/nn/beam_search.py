"""Beam search: the likeliest target of each source, by a network that reads and writes.

Axes: B batch, S times of the source, U symbols written, V symbols of the target and 1
boundary, number V, which begins and ends it; W beginnings that are kept.

Source: Deep learning cheat sheet, section 16.3; Sutskever et al. 2014, "Sequence to
sequence learning with neural networks".
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ftml.nn.layers import Draw

Memory = tuple[Tensor, Tensor]
"What was read, (B, S, ...), and its mask (B, S)."
State = tuple[Tensor, ...]
"The state of a decoder between two symbols, each (B, ...)."


class Transducer(Protocol):
    """What beam search needs of a network."""

    def read(
        self, x: Tensor, mask: Tensor, draw: Draw | None = None
    ) -> tuple[Memory, State]: ...

    def write(
        self, y: Tensor, state: State, memory: Memory, draw: Draw | None = None
    ) -> tuple[Tensor, Tensor, State]: ...


def beam_search(
    network: Transducer, x: Tensor, mask: Tensor, *, width: int, longest: int, end: int
) -> tuple[Tensor, Tensor]:
    """Return the best target found of each source, (B, longest), and log P of it, (B,).

    At each symbol the `width` likeliest beginnings stay; 1 is greedy. A target has at
    most `longest` symbols and then ends; what follows the end is `end`, the boundary.
    With width as large as the number of targets it is exhaustive.
    """
    memory, state = network.read(x, mask)
    B = len(x)
    score = torch.zeros(B, 1, device=x.device, dtype=memory[0].dtype)
    written = torch.full((B, 1, 1), end, device=x.device)
    over = torch.zeros(B, 1, dtype=torch.bool, device=x.device)
    for t in range(longest + 1):
        W = score.shape[1]
        wide: Memory = (
            memory[0].repeat_interleave(W, dim=0),
            memory[1].repeat_interleave(W, dim=0),
        )
        logits, _, state = network.write(written.flatten(0, 1)[:, -1:], state, wide)
        log_prob = logits[:, -1].log_softmax(dim=1).unflatten(0, (B, W))
        only_end = torch.full_like(log_prob, -torch.inf)
        only_end[..., end] = torch.where(over, 0.0, log_prob[..., end])
        log_prob = (
            only_end
            if t == longest
            else torch.where(over[..., None], only_end, log_prob)
        )
        n = log_prob.shape[2]
        total = (score[..., None] + log_prob).flatten(1)
        score, place = total.topk(min(width, total.shape[1]), dim=1)
        parent, symbol = place // n, place % n
        before = written.gather(1, parent[..., None].expand(-1, -1, t + 1))
        written = torch.cat([before, symbol[..., None]], dim=2)
        over = over.gather(1, parent) | (symbol == end)
        at = (torch.arange(B, device=x.device)[:, None] * W + parent).flatten()
        state = tuple(each[at] for each in state)
        if bool(over.all()):
            break
    return written[:, 0, 1:], score[:, 0]
