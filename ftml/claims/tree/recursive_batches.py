"""A recursive net that takes all nodes of one height at once is the naive recursion.

    h = F(h_left, h_right)  at each node, from the leaves to the root

Thirty random trees of 1 to 12 leaves, by both compositions. The measured value is the
largest gap of a root's logit to that of a function that calls itself on the children.

Source: Deep learning cheat sheet, section 16.4, recursive networks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ftml.data.trees import Forest, read_brackets
from ftml.evidence import Budget, Evidence
from ftml.nn.tree_networks import RecursiveNet

SYMBOLS = tuple("abcd")
TREES = 30


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a logit."""
    rng = np.random.default_rng(seed)
    texts = [random_tree(rng, 1 + int(rng.integers(12))) for _ in range(TREES)]
    forest = read_brackets(texts, SYMBOLS)
    gaps = []
    for composition in ("dense", "lstm"):
        net = RecursiveNet(
            n_symbols=len(SYMBOLS),
            d=6,
            composition=composition,
            dropout=0.0,
            n_classes=3,
            generator=torch.Generator().manual_seed(seed),
        ).double()
        roots = [state(net, forest, int(root)) for root in forest.roots()]
        gaps.append((net(forest) - net.classify(torch.cat(roots))).abs().max())
    return Evidence(
        expected=0.0, measured=float(torch.stack(gaps).max()), tolerance=1e-12
    )


def random_tree(rng: np.random.Generator, leaves: int) -> str:
    """Return a random tree with this number of leaves, in brackets."""
    if leaves == 1:
        return str(rng.choice(SYMBOLS))
    left = 1 + int(rng.integers(leaves - 1))
    return f"( {random_tree(rng, left)} {random_tree(rng, leaves - left)} )"


def state(net: RecursiveNet, forest: Forest, node: int) -> Tensor:
    """Return the state of a node (1, ...), from those of its children."""
    left, right = forest.children()[node]
    if left < 0:
        symbol = torch.tensor([int(forest.symbols[node])])
        found: Tensor = net.embedding(symbol)
        return found
    return net.node(state(net, forest, left), state(net, forest, right))
