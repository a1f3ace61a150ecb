"""The derivative of a max layer is one row with a single 1, not a diagonal matrix.

    max: R^n -> R,   max'(x) = e_i' (1 x n),   i = argmax x

The measured value is the Frobenius distance of the Jacobian of the project's maxout,
one unit of n = 6 pieces, from e_i', at the random point that is farthest. The notes
print diag(e_i), n x n (mistake 22): against it the row, repeated as a program would,
differs in n - 1 rows.

Source: Deep learning cheat sheet, "7 NN Functions and their Derivatives" (Max Layer).
"""

from __future__ import annotations

import torch
from torch.func import jacrev

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.nn.activations import maxout

MISTAKES = (22,)
N = 6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance from e_i', and the smallest from diag(e_i)."""
    draw = torch.Generator().manual_seed(seed)
    found, printed = [], []
    for x in torch.randn(50, N, generator=draw, dtype=torch.float64):
        J = jacrev(lambda at: maxout(at, n_pieces=N))(x)  # (1, n)
        e = torch.zeros(N, dtype=torch.float64)
        e[x.argmax()] = 1.0
        found.append(float((J - e).norm()))
        printed.append(float((J - e.diag()).norm()))
    return Evidence(
        expected=0.0,
        measured=farthest(found, 0.0),
        tolerance=0.0,
        value_in_source=min(printed),
    )
