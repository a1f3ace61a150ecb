"""Measures that many claims share: worst cases, and orders of convergence, which are
slopes in a log-log plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.plots import new_figure


def farthest(values: Iterable[float], expected: float) -> float:
    """Return the value that is farthest from what is expected, NaN where one is."""
    found = np.asarray(list(values), dtype=float)
    return float(found[np.argmax(np.abs(found - expected))])


def root_mean_square(rests: Sequence[np.ndarray]) -> np.ndarray:
    """Return the root mean square of several remainders, each (n,).

    A single one may pass through zero, where its order is undefined.
    """
    return np.sqrt(np.mean(np.square(rests), axis=0))


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return p of the y ~ x^p that fits best, for x and y (n,), all positive."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def log_slopes(x: np.ndarray, curves: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the slope of each curve over x."""
    return {name: log_slope(x, y) for name, y in curves.items()}


def slope_table(x: np.ndarray, curves: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return a row for each curve: its slope, and its values at x."""
    slopes = log_slopes(x, curves)
    rows = [(name, slopes[name], *y) for name, y in curves.items()]
    return pd.DataFrame(rows, columns=["curve", "slope", *(f"{at:.3g}" for at in x)])


def slope_figure(
    x: np.ndarray, curves: Mapping[str, np.ndarray], *, xlabel: str, ylabel: str
) -> Figure:
    """Plot the curves over x, each with its slope in the legend."""
    figure, axes = new_figure(6.4, 4.2)
    for (name, y), slope in zip(
        curves.items(), log_slopes(x, curves).values(), strict=True
    ):
        axes.loglog(x, y, "o-", markersize=4, label=f"{name}: slope {slope:.2f}")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside upper left", fontsize=9, frameon=False)
    return figure
