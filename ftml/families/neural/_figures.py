"""Figures of learnt filters and weights.

Axes: m filters, C channels, p x q pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ftml.plots import common_style, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 32
"Filters that a figure has at most."


def filters_figure(filters: np.ndarray, *, title: str) -> Figure:
    """Return filters (m, C, p, q), or (m, p, q), as images side by side.

    Of three channels the colours are shown, of others their mean; grey is zero, the
    same scale for all.
    """
    shown = filters[:SHOWN]
    if shown.ndim == 4:
        colours = shown.shape[1] == 3
        shown = np.moveaxis(shown, 1, 3) if colours else shown.mean(axis=1)
    limit = float(np.abs(shown).max()) or 1.0
    columns = min(8, len(shown))
    rows = math.ceil(len(shown) / columns)
    with common_style():
        figure = empty_figure(0.8 * columns + 1.2, 0.85 * rows + 0.7)
        axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.flat:
        place.set_axis_off()
    drawn = None
    for place, each in zip(axes.flat, shown, strict=False):
        if each.ndim == 3:
            place.imshow(0.5 + 0.5 * each / limit)
        else:
            drawn = place.imshow(each, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.suptitle(title)
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, label="weight", shrink=0.9)
    return figure
