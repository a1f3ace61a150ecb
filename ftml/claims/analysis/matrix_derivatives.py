"""The matrix derivatives of the cheat sheet, in gradient layout, agree with autograd.

    x'Ax -> (A + A')x                  tr(AXB) -> A'B'         tr(AX'B) -> BA
    (Ax + b)'C(Dx + e) -> D'C'(Ax + b) + A'C(Dx + e)           a'Xb -> ab'
    sum of softmax(x) * v -> (diag(s) - ss') v,   s = softmax(x)

The measured value is the largest relative distance from autograd's gradient; only
rounding is tolerated. Matrices are generated from the seed; they are 4 x 4, so that a
missing transpose would not fail by its shape.

Source: Deep learning cheat sheet, "4 Derivatives", 4.1 and 4.3; "7 NN Functions and
their Derivatives".
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor
from torch.func import grad

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative distance from autograd."""
    draw = torch.Generator().manual_seed(seed)
    A, B, C, D, X = torch.randn(5, 4, 4, generator=draw, dtype=torch.float64)
    x, a, b, e = torch.randn(4, 4, generator=draw, dtype=torch.float64)
    s = x.softmax(dim=0)
    cases: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, Tensor]] = {
        "x'Ax": (lambda v: v @ A @ v, x, (A + A.T) @ x),
        "(Ax + b)'C(Dx + e)": (
            lambda v: (A @ v + b) @ C @ (D @ v + e),
            x,
            D.T @ C.T @ (A @ x + b) + A.T @ C @ (D @ x + e),
        ),
        "tr(AXB)": (lambda V: (A @ V @ B).trace(), X, A.T @ B.T),
        "tr(AX'B)": (lambda V: (A @ V.T @ B).trace(), X, B @ A),
        "a'Xb": (lambda V: a @ V @ b, X, torch.outer(a, b)),
        "softmax(x)'a": (
            lambda v: v.softmax(dim=0) @ a,
            x,
            (s.diag() - torch.outer(s, s)) @ a,
        ),
    }
    rows = []
    for name, (function, at, formula) in cases.items():
        true = grad(function)(at)
        rows.append((name, float((true - formula).norm() / true.norm())))
    table = pd.DataFrame(rows, columns=["function", "distance"])
    return Evidence(
        expected=0.0,
        measured=farthest(table["distance"], 0.0),
        tolerance=1e-12,
        table=table,
    )
