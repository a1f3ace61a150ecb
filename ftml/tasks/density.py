"""Density: how probable rows of real numbers are.

Models have `log_density(X) -> (n,)` in nats; those that can draw rows have
`sample(n, seed=...) -> (n, d)`. A model whose normaliser is not known in closed form
says in its docstring how it was found, and how exact it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.data.table import Table
from ftml.plots import COLOURS, new_figure
from ftml.tasks._pictures import Plane

DATA = (Table,)
METRICS = {"log_likelihood": "max"}

SEED = 0
"Of the rows that are drawn for figures."
GRID = 120
"Points along each side of a contour's grid."


def evaluate(model: Any, split: Table) -> dict[str, float]:
    """Return the mean log-density of the rows, in nats.

    Beside it stands what a model says of a normaliser that it does not know:
    `log_z_error`, the standard error of an estimate, which shifts all rows alike, and
    `log_mass`, the log of what the density integrates to with a constant that is
    learnt.
    """
    scores = {"log_likelihood": float(np.mean(model.log_density(split.X)))}
    return scores | normaliser_scores(model)


def normaliser_scores(model: Any) -> dict[str, float]:
    """Return `log_z_error` and `log_mass` of a model that has them."""
    names = ("log_z_error", "log_mass")
    return {name: float(getattr(model, name)) for name in names if hasattr(model, name)}


def figures(model: Any, split: Table) -> dict[str, Figure]:
    """Return the sorted log-densities of rows and of draws, and draws among the rows.

    If the model were the law of the rows, the two curves would be the same but for
    chance. With two columns the density itself is drawn.
    """
    drawn = model.sample(len(split), seed=SEED) if hasattr(model, "sample") else None
    found = {"log_densities": log_densities_figure(model, split.X, drawn)}
    if split.X.shape[1] == 2:
        found["contour"] = _contour(model, split)
    if drawn is not None:
        found["samples"] = _samples(drawn, split)
    return found


def log_densities_figure(
    model: Any, X: np.ndarray, drawn: np.ndarray | None, *, called: str = "log-density"
) -> Figure:
    """Return the sorted log-densities of rows X (n, d), and of rows from the model."""
    figure, axes = new_figure()
    for name, rows in (("rows of the split", X), ("rows drawn from the model", drawn)):
        if rows is not None:
            share = (np.arange(len(rows)) + 0.5) / len(rows)
            axes.plot(np.sort(model.log_density(rows)), share, label=name)
    axes.set(xlabel=f"{called}, nats", ylabel="share of rows below", ylim=(0, 1))
    axes.legend()
    return figure


def _contour(model: Any, split: Table) -> Figure:
    low, high = split.X.min(axis=0), split.X.max(axis=0)
    margin = 0.1 * np.maximum(high - low, np.finfo(float).eps)
    x, y = np.linspace(low - margin, high + margin, GRID).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    height = model.log_density(grid).reshape(GRID, GRID)
    figure, axes = new_figure(6.4, 5.0)
    top = np.ceil(2.0 * height.max()) / 2.0
    levels = np.arange(top - 8.0, top + 0.5, 0.5)
    filled = axes.contourf(x, y, height, levels=levels, cmap="Blues", extend="min")
    axes.scatter(split.X[:, 0], split.X[:, 1], s=4, color="black", alpha=0.5)
    axes.set(xlabel=split.feature_names[0], ylabel=split.feature_names[1])
    figure.colorbar(filled, ax=axes, label="log-density, nats")
    return figure


def _samples(drawn: np.ndarray, split: Table) -> Figure:
    plane = Plane(split.X)
    figure, axes = new_figure(6.4, 5.0)
    for name, rows, colour in (
        ("drawn from the model", drawn, COLOURS[1]),
        ("rows of the split", split.X, COLOURS[0]),
    ):
        x, y = plane.place(rows).T
        axes.scatter(x, y, s=10, alpha=0.6, color=colour, label=name)
    axes.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    axes.legend()
    return figure


def example(split: Table) -> pd.DataFrame:
    """Return the first three rows as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the log-density of each row, in nats."""
    return pd.DataFrame({"log_density": model.log_density(frame.to_numpy(np.float64))})
