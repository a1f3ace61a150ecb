"""Figures of samples: samples as pictures, and samples in a plane.

Axes: n samples, d columns, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ftml.plots import COLOURS, common_style, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 16
"Fewest pixels of a picture."


def is_picture(d: int) -> bool:
    """Return whether samples with d columns can be square pictures."""
    return d >= SMALLEST and math.isqrt(d) ** 2 == d


def pictures_figure(
    rows: np.ndarray, *, columns: int, titles: tuple[str, ...] = ()
) -> Figure:
    """Return a grid of pictures with this number of columns.

    rows: (n, side^2), square ones, or images (n, H, W) or (n, H, W, 3) of 0 to 255.
    titles: of the lines of pictures. All grey pictures share one range of greys, with
    the highest value black; if there are values of both signs, positive is red and
    negative is blue.
    """
    if rows.ndim == 2:
        side = math.isqrt(rows.shape[1])
        rows = rows.reshape(len(rows), side, side)
    if rows.ndim == 4:
        rows = np.clip(rows / 255, 0, 1)
    lines, (H, W) = -(-len(rows) // columns), rows.shape[1:3]
    low, high = float(rows.min()), float(rows.max())
    # A few values slightly below 0 do not make the data signed.
    signed = -low > 0.3 * high
    limit = max(-low, high)
    size = (0.72 * columns + (0.9 if titles else 0.0), 0.78 * lines * H / W)
    with common_style():
        figure = empty_figure(*size)
        axes = figure.add_subplot()
    # All pictures are one image: an axes object for each is much slower to render.
    axes.imshow(
        _side_by_side(rows, lines, columns),
        cmap="RdBu_r" if signed else "Greys",
        vmin=-limit if signed else low,
        vmax=limit if signed else high,
    )
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    middles = [i * (H + _gap(H)) + (H - 1) / 2 for i in range(len(titles[:lines]))]
    axes.set_yticks(middles, titles[:lines])
    return figure


def _gap(H: int) -> int:
    return max(1, H // 8)


def _side_by_side(rows: np.ndarray, lines: int, columns: int) -> np.ndarray:
    """Return pictures (n, H, W, ...) as one array, with gaps of NaN, or of white in
    colour.
    """
    H, W = rows.shape[1:3]
    down, right = H + _gap(H), W + _gap(H)
    empty = 1.0 if rows.ndim == 4 else np.nan
    size = (lines * down - _gap(H), columns * right - _gap(H), *rows.shape[3:])
    whole = np.full(size, empty)
    for i, picture in enumerate(rows):
        y, x = down * (i // columns), right * (i % columns)
        whole[y : y + H, x : x + W] = picture
    return whole


def panels_figure(points: Mapping[str, np.ndarray], rows: np.ndarray) -> Figure:
    """Return panels of points (n, d) by their titles, each on top of the samples `rows`
    (n, d).

    With more than two columns the panels show the plane of the samples' first two
    principal components.
    """
    # Two columns are a plane already.
    place = Plane(rows).place if rows.shape[1] != 2 else np.asarray
    placed_rows = place(rows)
    columns = min(4, len(points))
    lines = -(-len(points) // columns)
    side = 2.4 if len(points) > 1 else 4.8
    with common_style():
        figure = empty_figure(side * columns, side * lines)
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in list(grid.flat)[len(points) :]:
        axes.set_axis_off()
    for axes, (title, each) in zip(grid.flat, points.items(), strict=False):
        for placed, colour in ((placed_rows, "#b0b0b0"), (place(each), COLOURS[1])):
            axes.scatter(*placed.T, s=3, alpha=0.5, color=colour)
        axes.set_title(title, fontsize=9)
    # The limits ignore outliers, which would make everything else small.
    x, y = placed_rows.T
    grid[0, 0].set(xlim=_around(x), ylim=_around(y))
    return figure


def _around(values: np.ndarray) -> tuple[float, float]:
    margin = 0.3 * max(float(np.ptp(values)), 1e-9)
    return float(values.min()) - margin, float(values.max()) + margin


class Plane:
    """The plane of the first two principal components of samples X (n, d)."""

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
        """Return the coordinates (n, 2) of samples; with one column the second is 0."""
        return (X - self.mean) @ self.axes.T
