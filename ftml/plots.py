"""The look of every figure: one size, colours that the colour-blind can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, darkest contrast first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "font.size": 10,
    "svg.hashsalt": "ftml",
}


def new_figure(width: float = 6.0, height: float = 4.2) -> tuple[Figure, Axes]:
    """Return a figure of that size in inches, and its axes, in the common style."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        return figure, figure.add_subplot()


def confusion_figure(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Return a confusion matrix (k, k), true classes in rows, coloured by row share."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure(5.6, 5.0)
    axes.grid(False)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        if counts[i, j]:
            colour = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure
