"""A convex function stays convex under an outer one that is convex and non-decreasing.

    h(f((x + y) / 2)) <= (h(f(x)) + h(f(y))) / 2

The measured value is the largest excess of the left side over random x and y, for f =
x^2 and |x|, and the activations that are convex and non-decreasing: relu, and log(1 +
e^z), which is torch's softplus. Non-decreasing alone, as the notes ask (mistake 30), is
not enough: the project's sigmoid, tanh and hard_tanh are, and break it. Only rounding
is tolerated.

Source: Deep learning cheat sheet, 14.4 ("Operations that Preserve Convexity").
"""

from __future__ import annotations

import pandas as pd
import torch
import torch.nn.functional as F

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.nn.activations import ACTIVATIONS

MISTAKES = (30,)
CONVEX = {"relu": ACTIVATIONS["relu"], "softplus": F.softplus}
NOT_CONVEX = {name: ACTIVATIONS[name] for name in ("sigmoid", "tanh", "hard_tanh")}
INNER = {"x^2": torch.square, "|x|": torch.abs}


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest excess of convex outer functions, and of the others."""
    draw = torch.Generator().manual_seed(seed)
    x, y = 3 * torch.randn(2, 2000, generator=draw, dtype=torch.float64)
    rows = []
    for convex, outers in ((True, CONVEX), (False, NOT_CONVEX)):
        for outer, h in outers.items():
            for inner, f in INNER.items():
                excess = h(f((x + y) / 2)) - (h(f(x)) + h(f(y))) / 2
                rows.append((outer, inner, convex, float(excess.max().clamp(min=0))))
    columns = ["outer", "inner", "outer is convex", "largest excess"]
    table = pd.DataFrame(rows, columns=columns)
    convex_outer = table["outer is convex"]
    return Evidence(
        expected=0.0,
        measured=farthest(table["largest excess"][convex_outer], 0.0),
        tolerance=1e-12,
        value_in_source=float(table["largest excess"][~convex_outer].min()),
        table=table,
    )
