"""A second-order Taylor polynomial, with its one half, errs by the cube of the step.

    f(x) = sum_{k=0}^m f^(k)(a) (x - a)^k / k! + O(|x - a|^(m+1))
    f(x) ~ f(a) + grad f'(x - a) + (x - a)' H (x - a) / 2
    remainder = int_a^x f^(m+1)(t) (x - t)^m / m! dt

The measured value is the order of the error of the second line on a smooth network's
loss, derivatives by autograd: 3. Without the one half, as the notes print it (mistake
23), it is 2; begun at k = 1, as they print the first line, it is 0 (the table). Their
remainder has f^(m+1) (x - t) without powers; and the errors of forward and central
differences are of orders 1 and 2, not 2 and 3 (the claim finite_differences). Network,
point and ten directions, over which errors are squared and averaged, are generated from
the seed; the next order bends the slope by the step.

Source: Deep learning cheat sheet, "8 Taylor Approximations".
"""

from __future__ import annotations

import numpy as np
import torch
from torch.func import grad, jacrev

from ftml.claims._measures import (
    log_slopes,
    root_mean_square,
    slope_figure,
    slope_table,
)
from ftml.evidence import Budget, Evidence
from ftml.nn.mlp import MLP

MISTAKES = (23,)
STEPS = np.array([4e-2, 2e-2, 1e-2])
NAMES = ("second order", "without the one half", "from k = 1", "first order")


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the error, and that without the one half."""
    draw = torch.Generator().manual_seed(seed)
    network = MLP((4, 6, 3), activation="tanh", generator=draw).double()
    network.requires_grad_(False)
    a, *directions = torch.randn(11, 4, generator=draw, dtype=torch.float64)

    def f(x: torch.Tensor) -> torch.Tensor:
        return network(x).logsumexp(dim=0)

    start, slope, curvature = float(f(a)), grad(f)(a), jacrev(grad(f))(a)
    left: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for each in directions:
        v = each / each.norm()
        bend = STEPS**2 / 2 * float(v @ curvature @ v)
        values = np.array([float(f(a + h * v)) for h in STEPS])
        linear = values - start - STEPS * float(slope @ v)
        rests = linear - bend, linear - 2 * bend, linear - bend + start, linear
        for name, rest in zip(NAMES, rests, strict=True):
            left[name].append(rest)
    curves = {name: root_mean_square(rests) for name, rests in left.items()}
    slopes = log_slopes(STEPS, curves)
    return Evidence(
        expected=3.0,
        measured=slopes["second order"],
        tolerance=0.1,
        value_in_source=slopes["without the one half"],
        table=slope_table(STEPS, curves),
        figure=lambda: slope_figure(
            STEPS, curves, xlabel="step |x - a|", ylabel="error of the polynomial"
        ),
    )
