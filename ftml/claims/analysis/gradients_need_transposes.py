"""The gradient of f(x)'g(x) is J_f' g + J_g' f, with the Jacobians transposed.

    grad f'g = J_f' g + J_g' f,     grad |f|^2 = 2 J_f' f
    grad f'Ag = J_f' A g + J_g' A' f

for f and g from R^4 to R^4: one layer of the project's MLP each, so that all shapes fit
either way. The measured value is the largest distance of the three from autograd's
gradient; only rounding is tolerated. The notes print J_f g + J_g f and 2 J_f f (mistake
20), and ask in their heading what is correct. Weights and point are generated from the
seed.

Source: Deep learning cheat sheet, "4 Derivatives What is correct???".
"""

from __future__ import annotations

import pandas as pd
import torch
from torch.func import jacrev

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.nn.mlp import MLP

MISTAKES = (20,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance from autograd, and the smallest of the printed
    version.
    """
    draw = torch.Generator().manual_seed(seed)
    first, second = (
        MLP((4, 4, 4), activation="tanh", generator=draw).double() for _ in range(2)
    )
    x, *rows = torch.randn(5, 4, generator=draw, dtype=torch.float64)
    A = torch.stack(rows)
    f, g = first(x).detach(), second(x).detach()
    J_f, J_g = jacrev(first)(x).detach(), jacrev(second)(x).detach()
    cases = {
        "f'g": (
            jacrev(lambda at: first(at) @ second(at))(x),
            J_f.T @ g + J_g.T @ f,
            J_f @ g + J_g @ f,
        ),
        "|f|^2": (
            jacrev(lambda at: first(at) @ first(at))(x),
            2 * J_f.T @ f,
            2 * J_f @ f,
        ),
        "f'Ag": (
            jacrev(lambda at: first(at) @ A @ second(at))(x),
            J_f.T @ A @ g + J_g.T @ A.T @ f,
            J_f @ A @ g + J_g @ A.T @ f,
        ),
    }
    found = [
        (name, *(float((each - true).detach().norm()) for each in (right, printed)))
        for name, (true, right, printed) in cases.items()
    ]
    columns = ["function", "distance", "distance in the notes"]
    table = pd.DataFrame(found, columns=columns)
    return Evidence(
        expected=0.0,
        measured=farthest(table["distance"], 0.0),
        tolerance=1e-12,
        value_in_source=float(table["distance in the notes"].min()),
        table=table,
    )
