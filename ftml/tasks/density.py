"""Density: the log-density of samples of real vectors.

Models have `log_density(X) -> (n,)` in nats; those that can generate samples have
`sample(n, seed=...) -> (n, d)`. If the normaliser of a model is not known in closed
form, the docstring of the family says how it is estimated, and how exact it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ftml.data.table import Table
from ftml.plots import COLOURS, new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._pictures import Plane

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Table,)
METRICS = {"log_likelihood": "max"}

SEED = 0
"Seed of the generated samples in figures."
MOST = 1000
"Largest number of generated samples in figures: a chain for each can be slow."
GRID = 120
"Points along each side of a contour's grid."


def evaluate(model: Any, split: Table) -> dict[str, float]:
    """Return the mean log-density per sample, in nats.

    Models with an unknown normaliser have two more metrics: `log_z_error`, the standard
    error of an estimated normaliser, which shifts all samples alike, and `log_mass`,
    the log of the integral of the density if its constant is learnt. Raises ValueError
    for a split without samples.
    """
    check_samples(split)
    scores = {"log_likelihood": float(np.mean(model.log_density(split.X)))}
    return scores | normaliser_scores(model)


def normaliser_scores(model: Any) -> dict[str, float]:
    """Return `log_z_error` and `log_mass` of a model that has them."""
    names = ("log_z_error", "log_mass")
    return {name: float(getattr(model, name)) for name in names if hasattr(model, name)}


def figures(model: Any, split: Table) -> dict[str, Figure]:
    """Return the sorted log-densities of data and of generated samples, and both as
    points.

    If the model were the distribution of the data, the two curves would be equal up to
    chance. There are as many generated samples as data, at most 1,000. With two columns
    there is a contour plot of the density.
    """
    generated = generated_samples(model, split)
    found = {"log_densities": log_densities_figure(model, split.X, generated)}
    if split.X.shape[1] == 2:
        found["contour"] = _contour(model, split)
    if generated is not None:
        found["samples"] = _samples(generated, split)
    return found


def generated_samples(model: Any, split: Table) -> np.ndarray | None:
    """Return the samples of the figures, None from a model that generates none."""
    if not hasattr(model, "sample"):
        return None
    rows: np.ndarray = model.sample(min(MOST, len(split)), seed=SEED)
    return rows


def log_densities_figure(
    model: Any,
    X: np.ndarray,
    generated: np.ndarray | None,
    *,
    called: str = "log-density",
) -> Figure:
    """Return the sorted log-densities of samples X (n, d), and of samples from the
    model.
    """
    figure, axes = new_figure()
    for name, rows in (
        (f"{len(X):,} samples of the split", X),
        (f"{len(X if generated is None else generated):,} from the model", generated),
    ):
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


def _samples(generated: np.ndarray, split: Table) -> Figure:
    plane = Plane(split.X)
    figure, axes = new_figure(6.4, 5.0)
    for name, rows, colour in (
        ("from the model", generated, COLOURS[1]),
        ("rows of the split", split.X, COLOURS[0]),
    ):
        x, y = plane.place(rows).T
        axes.scatter(x, y, s=10, alpha=0.6, color=colour, label=name)
    axes.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    axes.legend()
    return figure


def example(split: Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the log-density of each sample, in nats."""
    return pd.DataFrame({"log_density": model.log_density(frame.to_numpy(np.float64))})
