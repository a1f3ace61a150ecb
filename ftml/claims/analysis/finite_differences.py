"""Central differences err by the square of the step, forward ones by the step itself.

    (f(x + h) - f(x)) / h = f'(x) + O(h),   (f(x + h) - f(x - h)) / 2h = f'(x) + O(h^2)

until rounding, eps |f| / h, takes over: the best central step is about (3 eps |f| /
|f'''|)^(1/3). The measured value is the order of the central difference of the
project's loss of softmax regression, over steps of 0.1 to 0.01 in ten random
directions, whose squared errors are averaged; the forward one must have 1, otherwise
the measured value is NaN. The next orders bend the slopes by less than 0.1. (The notes
have one order more for both: mistake 23, see taylor_polynomials.)

Source: Deep learning cheat sheet, "8 Taylor Approximations" (finite difference method).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from ftml.claims._measures import log_slopes, root_mean_square, slope_table
from ftml.evidence import Budget, Evidence
from ftml.families.linear.softmax_regression import loss_and_gradient
from ftml.plots import COLOURS, new_figure

STEPS = np.array([0.1, 0.03, 0.01])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the central difference."""
    lines = [along_a_direction(10 * seed + i) for i in range(10)]
    found = [errors(f, slope, STEPS) for f, slope in lines]
    curves = {
        name: root_mean_square([each[name] for each in found])
        for name in ("forward", "central")
    }
    slopes = log_slopes(STEPS, curves)
    forward_is_right = abs(slopes["forward"] - 1) < 0.1
    return Evidence(
        expected=2.0,
        measured=slopes["central"] if forward_is_right else float("nan"),
        tolerance=0.1,
        table=slope_table(STEPS, curves),
        figure=lambda: valley(*lines[0]),
    )


def along_a_direction(seed: int) -> tuple[Callable[[float], float], float]:
    """Return the loss along a direction, and its slope at 0 by the family."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(30, 4)), np.ones(30)])
    y = rng.integers(3, size=30)
    theta, direction = rng.normal(size=(2, 5, 3))
    direction /= np.linalg.norm(direction)

    def f(h: float) -> float:
        return loss_and_gradient(theta + h * direction, X, y, alpha=0.1)[0]

    gradient = loss_and_gradient(theta, X, y, alpha=0.1)[1]
    return f, float(np.sum(gradient * direction))


def errors(
    f: Callable[[float], float], slope: float, steps: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the error of both differences for each step."""
    forward = [abs((f(h) - f(0.0)) / h - slope) for h in steps]
    central = [abs((f(h) - f(-h)) / (2 * h) - slope) for h in steps]
    return {"forward": np.array(forward), "central": np.array(central)}


def valley(f: Callable[[float], float], slope: float) -> Figure:
    """Plot the errors from steps of 1e-12 to 1, and the theory's best steps."""
    steps = np.logspace(-12, 0, 73)
    figure, axes = new_figure()
    for (name, error), power, colour in zip(
        errors(f, slope, steps).items(), (2, 3), COLOURS, strict=False
    ):
        axes.loglog(steps, np.maximum(error, 1e-16), color=colour, label=name)
        best = np.finfo(float).eps ** (1 / power)
        axes.axvline(best, color=colour, linestyle=":", label=f"eps^(1/{power})")
    axes.set(xlabel="step h", ylabel="error of the derivative")
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure
