"""What figures of unlabelled tables share: rows as pictures, and the plane they lie in.

Axes: n rows, d columns.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ftml.plots import STYLE

SMALLEST = 16
"Fewer pixels make no picture."


def is_picture(d: int) -> bool:
    """Return whether rows of d columns can be square pictures."""
    return d >= SMALLEST and math.isqrt(d) ** 2 == d


def pictures_figure(
    rows: np.ndarray, *, columns: int, titles: tuple[str, ...] = ()
) -> Figure:
    """Return the rows (n, side^2) as square pictures, so many beside each other.

    titles: of the lines of pictures. All pictures share one range of greys; where
    values of both signs stand, red is positive and blue negative.
    """
    lines, side = -(-len(rows) // columns), math.isqrt(rows.shape[1])
    low, high = float(rows.min()), float(rows.max())
    # A few values a little below 0 are no reason to colour what is not signed.
    signed = -low > 0.3 * high
    limit = max(-low, high)
    colours = {
        "cmap": "RdBu_r" if signed else "Greys",
        "vmin": -limit if signed else low,
        "vmax": limit if signed else high,
    }
    with rc_context(STYLE):
        size = (0.72 * columns + (0.9 if titles else 0.0), 0.78 * lines)
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
    for i, axes in enumerate(grid.flat):
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if i >= len(rows):
            axes.set_axis_off()
            continue
        axes.imshow(rows[i].reshape(side, side), **colours)
        if titles and i % columns == 0:
            axes.set_ylabel(
                titles[i // columns], rotation=0, ha="right", va="center", fontsize=9
            )
    return figure


class Plane:
    """The plane of the first two principal components of rows X (n, d)."""

    def __init__(self, X: np.ndarray) -> None:
        self.mean = X.mean(axis=0)
        _, s, Vt = np.linalg.svd(X - self.mean, full_matrices=False)
        self.axes = np.zeros((2, X.shape[1]))
        self.axes[: len(Vt)] = Vt[:2]
        share = s**2 / max(float(np.sum(s**2)), np.finfo(float).tiny)
        self.labels = tuple(
            f"{name} component of the rows ({part:.0%} of the variance)"
            for name, part in zip(("first", "second"), (*share, 0.0, 0.0), strict=False)
        )

    def place(self, X: np.ndarray) -> np.ndarray:
        """Return the coordinates (n, 2) of rows; with one column the second is 0."""
        return (X - self.mean) @ self.axes.T
