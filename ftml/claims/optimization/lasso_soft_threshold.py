"""On a quadratic of independent weights an L1 penalty sets the small ones to zero.

    argmin_v sum_i H_ii (v_i - w_i)^2 / 2 + lambda |v|_1
        = sign(w_i) max(|w_i| - lambda / H_ii, 0)

The measured value is the amount by which ftml's soft threshold violates the condition
of an optimum: 0 = H (v - w) + lambda s, with s the sign of v where v is not 0, found by
autograd through ftml's penalty, and in [-1, 1] where it is. Only rounding is tolerated.
The table counts zeros, beside those of an L2 penalty. Weights and curvatures are
generated from the seed.

Source: Deep learning cheat sheet, 14.11 ("L1-Regularization (sparsity inducing)").
"""

from __future__ import annotations

import pandas as pd
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.penalties import l1, soft_threshold

STRENGTHS = (0.1, 0.5, 2.0)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest miss of the optimum's condition."""
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(500, generator=draw, dtype=torch.float64)
    H = torch.rand(500, generator=draw, dtype=torch.float64) + 0.5
    rows = []
    for strength in STRENGTHS:
        v = soft_threshold(w, strength / H).requires_grad_()
        (gradient,) = torch.autograd.grad(l1([v], strength), v)
        pull = H * (v - w).detach()
        miss = torch.where(
            v == 0, (pull.abs() - strength).clamp(min=0), (pull + gradient).abs()
        )
        shrunk = H * w / (H + strength)
        zeros = int((v == 0).sum()), int((shrunk == 0).sum())
        rows.append((strength, float(miss.max()), *zeros))
    columns = ["lambda", "miss", "zeros of 500", "zeros with L2"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=0.0,
        measured=float(table["miss"].max(skipna=False)),
        tolerance=1e-12,
        table=table,
    )
