"""Recursive networks: the state of a node is made from those of its two children.

    dense   h = tanh(W [h_left; h_right] + b)
    lstm    i, f_left, f_right, o = s(W [h_left; h_right] + b),  g = tanh(likewise)
            c = i g + f_left c_left + f_right c_right,  h = o tanh(c)

A leaf's state is learnt for its symbol. Axes: N nodes, n trees, d dimension of a state.

Source: Deep learning cheat sheet, section 16.4 (h = F(h_left, h_right)); Socher et al.
2011, "Parsing natural scenes and natural language with recursive neural networks"; Tai
et al. 2015, "Improved semantic representations from tree-structured LSTMs".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ftml.data.trees import Forest
from ftml.nn.layers import Draw, dropout
from ftml.nn.sequence_networks import Embedding, linear

Composition = Literal["dense", "lstm"]


def levels(forest: Forest) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the nodes by height, (N,), and of each height above 0 its nodes' children.

    Children are places in that order, (m, 2): all stand below, so that the nodes of one
    height can be made at once.
    """
    height, children = forest.heights(), forest.children()
    order = np.argsort(height, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    sizes = np.bincount(height)
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return order, [place[children[part]] for part in parts[1:]]


def levels_of_parents(children: list[np.ndarray], n: int) -> np.ndarray:
    """Return the height of the parent of each of n places, (n,); one above the highest
    for a root. children: as `levels` returns them.
    """
    found = np.full(n, len(children) + 1)
    for height, each in enumerate(children, start=1):
        found[each] = height
    return found


def by_parent(h: Tensor, heights: np.ndarray) -> Iterator[tuple[int, Tensor]]:
    """Yield the rows of h (m, ...) in parts of one height (m,), with that height."""
    found, sizes = np.unique(heights, return_counts=True)
    if len(found) > 1:
        h = h[torch.from_numpy(np.argsort(heights, kind="stable")).to(h.device)]
    yield from zip(found.tolist(), h.split(sizes.tolist()), strict=True)


class RecursiveNet(nn.Module):
    """States from the leaves to the root, and a class from that of the root."""

    def __init__(
        self,
        *,
        n_symbols: int,
        d: int,
        composition: str,
        dropout: float,
        n_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout, self.gated = dropout, composition == "lstm"
        # Of a Tree-LSTM's node h and c, one behind the other.
        self.embedding = Embedding(
            n_symbols, 2 * d if self.gated else d, std=0.5, generator=generator
        )
        self.compose = linear(2 * d, 5 * d if self.gated else d, generator)
        self.head = linear(d, n_classes, generator)

    def node(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the state of nodes, (m, d) or (m, 2 d), from their children's."""
        if not self.gated:
            return torch.tanh(self.compose(torch.cat([left, right], dim=1)))
        (h_left, c_left), (h_right, c_right) = (
            x.chunk(2, dim=1) for x in (left, right)
        )
        z = self.compose(torch.cat([h_left, h_right], dim=1)).chunk(5, dim=1)
        i, f_left, f_right, o = (torch.sigmoid(each) for each in z[:4])
        c = i * torch.tanh(z[4]) + f_left * c_left + f_right * c_right
        return torch.cat([o * torch.tanh(c), c], dim=1)

    def states(self, forest: Forest) -> Tensor:
        """Return the state of every node, (N, ...), one product for each height.

        A state goes to the height of its parent and nowhere else, so that a tree as
        high as it has leaves takes no more memory than another.
        """
        where = self.embedding.weight.device
        order, children = levels(forest)
        parents, below = levels_of_parents(children, len(order)), list[Tensor]()
        leaves = forest.symbols[order[: len(order) - sum(map(len, children))]]
        h, start = self.embedding(torch.from_numpy(leaves).to(where)), 0
        waiting: list[list[Tensor]] = [[] for _ in range(len(children) + 2)]
        for height in range(len(children) + 1):
            if height:
                h = self._made(waiting[height], children[height - 1])
                waiting[height] = []
            below.append(h)
            for above, part in by_parent(h, parents[start : start + len(h)]):
                waiting[above].append(part)
            start += len(h)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        found: Tensor = torch.cat(below)[torch.from_numpy(back).to(where)]
        return found

    def _made(self, parts: list[Tensor], children: np.ndarray) -> Tensor:
        """Return the states of the nodes of one height, (m, ...), from the states of
        all their children in the order of their places, in parts.
        """
        below = torch.cat(parts)
        index = np.searchsorted(np.sort(children, axis=None), children)
        left, right = torch.from_numpy(index).to(below.device).unbind(dim=1)
        return self.node(below[left], below[right])

    def classify(self, states: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits of the nodes of these states."""
        h = states.chunk(2, dim=1)[0] if self.gated else states
        logits: Tensor = self.head(dropout(h, self.dropout, draw))
        return logits

    def forward(self, forest: Forest, draw: Draw | None = None) -> Tensor:
        """Return the logits of each tree, (n, k), from the state of its root."""
        roots = torch.from_numpy(forest.roots()).to(self.embedding.weight.device)
        return self.classify(self.states(forest)[roots], draw)
