"""Weight decay is a step on the L2 penalty: theta <- (1 - eta l) theta - eta g.

    theta - eta grad [R + (l/2) |theta|^2] = (1 - eta l) theta - eta grad R

The measured value is the larger of two distances of ftml.optim's step with decay, from
the step along the gradient of ftml's penalty, and from the right side. The notes lack
eta before the data's gradient in one place. Adam divides the penalty's gradient by its
root too, and shrinks otherwise (the table has its distance from the right side). Only
rounding is tolerated. The weights are generated from the seed.

Source: Deep learning cheat sheet, 14.11 ("weight decay").
"""

from __future__ import annotations

import pandas as pd
import torch

from ftml.claims._measures import farthest
from ftml.core import State
from ftml.evidence import Budget, Evidence
from ftml.nn.penalties import l2
from ftml.optim.optimizers import Optimizer, adam, sgd

ETA, STRENGTH = 0.1, 0.3


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance of the step with decay from both sides."""
    draw = torch.Generator().manual_seed(seed)
    theta, g = torch.randn(2, 50, generator=draw, dtype=torch.float64)
    at = theta.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(l2([at], STRENGTH), at)
    decayed = stepped(sgd(learning_rate=ETA, weight_decay=STRENGTH), theta, g)
    penalised = stepped(sgd(learning_rate=ETA), theta, g + gradient)
    formula = (1 - ETA * STRENGTH) * theta - ETA * g
    by_adam = stepped(adam(learning_rate=ETA, weight_decay=STRENGTH), theta, g)
    plain = stepped(adam(learning_rate=ETA), theta, g)
    distances = {
        "decay and penalty": float((decayed - penalised).norm()),
        "decay and (1 - eta l) theta - eta g": float((decayed - formula).norm()),
        "Adam's decay and - eta l theta": float(
            (by_adam - plain + ETA * STRENGTH * theta).norm()
        ),
    }
    gaps = list(distances.values())
    return Evidence(
        expected=0.0,
        measured=farthest(gaps[:2], 0.0),
        tolerance=1e-13,
        table=pd.DataFrame({"steps": list(distances), "distance": gaps}),
    )


def stepped(descend: Optimizer, theta: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """Return the weights after one step from theta (n,)."""
    moved = [theta.clone()]
    descend(moved, [g], State())
    return moved[0]
