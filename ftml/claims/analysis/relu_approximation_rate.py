"""A sum of m ReLUs comes as near to a smooth function as 1 / m^2.

    max |f - f_m| <= max |f''| / (8 m^2),   f_m the polygonal line through f(i / m)

The line has m pieces and m + 1 numbers. f is sin(5 x) on [0, 1], whose f'' is largest
inside; the error is the largest of 20,001 points. The measured value is the slope of
its logarithm over that of m, from 16 to 512 pieces: it is -2 but for terms in 1 / m^2,
below 0.01 here.

Source: Deep learning cheat sheet, section 10.5, Shektman and Lebesgue.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.activations import polygonal_line
from ftml.plots import COLOURS, new_figure

CURVATURE = 25.0
"The largest |f''|."


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the error; nothing is random."""
    x = np.linspace(0, 1, 20_001)
    pieces = 2 ** np.arange(4, 10)
    errors = [np.abs(f(x) - line(x, m)).max() for m in pieces.tolist()]
    slope = np.polyfit(np.log(pieces), np.log(errors), 1)[0]
    table = pd.DataFrame(
        {"pieces": pieces, "error": errors, "bound": CURVATURE / (8 * pieces**2)}
    )
    return Evidence(
        expected=-2.0,
        measured=float(slope),
        tolerance=0.01,
        table=table,
        figure=lambda: rate(table),
    )


def f(x: np.ndarray) -> np.ndarray:
    """Return sin(5 x), (n,)."""
    return np.sin(5 * x)


def line(x: np.ndarray, m: int) -> np.ndarray:
    """Return the polygonal line of m pieces through f, (n,)."""
    knots = np.arange(m + 1) / m
    slopes = np.diff(f(knots)) * m
    return polygonal_line(x, knots[1:-1], slopes, start=float(f(knots)[0]))


def rate(table: pd.DataFrame) -> Figure:
    """Plot the error and its bound over the number of pieces."""
    figure, axes = new_figure()
    axes.plot(table["pieces"], table["error"], marker="o", label="largest error")
    axes.plot(
        table["pieces"],
        table["bound"],
        color=COLOURS[1],
        linestyle="--",
        label="max |f''| / (8 m²)",
    )
    axes.set(xscale="log", yscale="log", xlabel="linear pieces m, as many ReLUs")
    axes.set(ylabel="largest |f - f_m| on [0, 1]")
    axes.set_xticks(table["pieces"], [str(m) for m in table["pieces"]])
    axes.minorticks_off()
    axes.legend()
    return figure
