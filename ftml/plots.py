"""The common style of all figures: sizes, and colours that are safe for
colour-blindness.

Matplotlib is imported where a figure is made, since a model that only predicts needs
none, and importing it takes a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from cycler import cycler

from ftml.fonts import set_fonts, use_installed_fonts, without_glyph_warnings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

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


# Candidate positions of a text beside its point, and the alignment of each.
ANCHORS: Any = {
    (1, 0): ("left", "center"),
    (-1, 0): ("right", "center"),
    (0, 1): ("center", "bottom"),
    (0, -1): ("center", "top"),
    (1, 1): ("left", "bottom"),
    (-1, 1): ("right", "bottom"),
    (1, -1): ("left", "top"),
    (-1, -1): ("right", "top"),
}


def common_style() -> AbstractContextManager[None]:
    """Return the context in which axes get the common style."""
    from matplotlib import rc_context

    return rc_context(STYLE)


def empty_figure(width: float, height: float) -> Figure:
    """Return a figure of that size in inches, without axes."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def new_figure(width: float = 6.0, height: float = 4.2) -> tuple[Figure, Axes]:
    """Return a figure of that size in inches, and its axes, in the common style."""
    with common_style():
        figure = empty_figure(width, height)
        return figure, figure.add_subplot()


def label_points(
    axes: Axes,
    points: np.ndarray,
    texts: Sequence[str],
    *,
    fontsize: float = 8,
    prefer: Sequence[tuple[int, int]] = (),
) -> list[str]:
    """Write texts beside points (n, 2) where they overlap no other text and no point;
    return those that fit. Texts are placed in their order. Axes must have their limits.

    prefer: the side of each point that is tried first, right and up: (-1, 1) is the
    upper left.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("expected axes of a figure, got axes of none")
    use_installed_fonts(figure)
    with without_glyph_warnings():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # positions do not change after texts are measured
    places = axes.transData.transform(np.asarray(points, float))
    inside, taken, written = axes.get_window_extent(), list[Bbox](), list[str]()
    dot = fontsize * figure.dpi / 72 / 4
    taken += [Bbox([place - dot, place + dot]) for place in places]
    wanted = prefer or [(1, 0)] * len(texts)
    for text, point, side in zip(texts, points, wanted, strict=True):
        for each in (side, *(other for other in ANCHORS if other != side)):
            label = _label_beside(axes, text, point, side=each, fontsize=fontsize)
            with without_glyph_warnings():
                box = label.get_window_extent()
            fits = inside.contains(*box.p0) and inside.contains(*box.p1)
            if fits and not box.count_overlaps(taken):
                taken.append(box)
                written.append(text)
                break
            label.remove()
    return written


def _label_beside(
    axes: Axes, text: str, point: np.ndarray, *, side: tuple[int, int], fontsize: float
) -> Annotation:
    """Return a text that was written on one side of a point."""
    (right, up), (h, v) = side, ANCHORS[side]
    label = axes.annotate(
        text,
        tuple(point),
        (4 * right, 4 * up),
        textcoords="offset points",
        ha=h,
        va=v,
        fontsize=fontsize,
    )
    label.set_in_layout(False)
    set_fonts(label)
    return label


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


def share_interval(right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion: `right` of n samples."""
    from scipy.stats import binomtest

    low, high = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


def calibration_figure(confidence: np.ndarray, correct: np.ndarray) -> Figure:
    """Return accuracy against confidence (n,) in ten bins, and the number of samples in
    each bin.

    correct: (n,) whether the predicted class of each sample is the true one. Bars are
    95 % intervals: a bin with few samples has a wide one.
    """
    bins = np.minimum((confidence * 10).astype(int), 9)
    filled = [b for b in range(10) if (bins == b).any()]
    rows = np.array([(bins == b).sum() for b in filled])
    right = np.array([correct[bins == b].sum() for b in filled])
    x = np.array([confidence[bins == b].mean() for b in filled])
    ends = np.array([share_interval(k, n) for k, n in zip(right, rows, strict=True)])
    y = right / rows
    # Rounding may put an end of the interval on the wrong side of the proportion.
    error = np.maximum(np.abs(ends.T - y), 0.0)
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
    axes.errorbar(x, y, yerr=error, fmt="o-", elinewidth=1, label="model")
    for at, n in zip(x, rows, strict=True):
        axes.annotate(str(n), (at, 0.02), ha="center", fontsize=8, color="#5c5c5c")
    axes.set(
        xlabel="mean confidence (below: rows of the bin)",
        ylabel="accuracy, with its 95 % interval",
        xlim=(0, 1.03),
        ylim=(0, 1.03),
    )
    axes.legend()
    return figure
