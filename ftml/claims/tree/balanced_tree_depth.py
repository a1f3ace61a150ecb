"""A balanced tree over n symbols is log2 n steps deep, where a chain takes n - 1.

    h = F(h_left, h_right):   1,024 symbols in 10 steps, or in 1,023

A step of a recursive net is the product of all nodes of one height. The measured value
is the number of steps for a balanced tree; the chain, as an ordinary recurrent net
reads, is in the table. F is called as often in both, once for each inner node.

Source: Deep learning cheat sheet, section 16.4, recursive networks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.data.ragged import offsets_of
from ftml.data.trees import NONE, Forest
from ftml.evidence import Budget, Evidence
from ftml.nn.tree_networks import levels

LEAVES = (16, 128, 1024)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the steps of the largest balanced tree; nothing is random."""
    rows = []
    for n in LEAVES:
        steps = [len(levels(make(n))[1]) for make in (balanced, chain)]
        rows.append((n, np.log2(n), *steps))
    columns = ["symbols n", "log2 n", "steps, balanced", "steps, chain"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=float(np.log2(LEAVES[-1])),
        measured=float(table["steps, balanced"].iloc[-1]),
        tolerance=0.0,
        table=table,
    )


def balanced(n: int) -> Forest:
    """Return the balanced tree over n symbols, n a power of two: a heap."""
    nodes = np.arange(2 * n - 1)
    return forest((nodes - 1) // 2, nodes >= n - 1)


def chain(n: int) -> Forest:
    """Return the tree over n symbols whose right children are all leaves."""
    nodes = np.arange(2 * n - 1)
    # Inner nodes are 0, 2, 4, ...; each has the next one and a leaf below it.
    return forest(2 * ((nodes - 1) // 2), (nodes % 2 == 1) | (nodes == 2 * n - 2))


def forest(parents: np.ndarray, is_leaf: np.ndarray) -> Forest:
    """Return one tree of one symbol, the first node its root."""
    parents[0] = NONE
    symbols = np.where(is_leaf, 0, NONE)
    return Forest(symbols, parents, offsets_of([len(parents)]), ("a",))
