"""Decomposition: a low-dimensional code of each sample, from which it is reconstructed.

Models have `transform(X) -> (n, q)` and `reconstruct(X) -> (n, d)`; linear models also
have `components (q, d)`, whose weighted sum is the reconstruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.table import Table
from ftml.plots import new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import Autoencoder, LinearDecomposition
from ftml.tasks._pictures import is_picture, pictures_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Table,)
METRICS = {"reconstruction_error": "min", "explained_variance": "max"}

SHOWN = 12
"Samples and components that are plotted."


def evaluate(model: Autoencoder, split: Table) -> dict[str, float]:
    """Return the reconstruction error, and the fraction of the variance that is
    explained.

        reconstruction_error = mean of (x_ij - r_ij)^2, per value
        explained_variance   = 1 - sum (x_ij - r_ij)^2 / sum (x_ij - m_j)^2

    r is the reconstruction of x, m_j the mean of column j in these samples. Samples
    without any variance count 1 if they are reconstructed exactly, else 0. Raises
    ValueError for a split without samples.
    """
    check_samples(split)
    lost = float(np.sum((split.X - model.reconstruct(split.X)) ** 2))
    total = float(np.sum((split.X - centre(split.X)) ** 2))
    kept = 1.0 - lost / total if total > 0 else float(lost == 0.0)
    return {"reconstruction_error": lost / split.X.size, "explained_variance": kept}


def centre(X: np.ndarray) -> np.ndarray:
    """Return the mean of each column of X (n, d), (d,).

    That of a column of one value is this value, from which rounding may part the mean.
    """
    varies = X.min(axis=0) < X.max(axis=0)
    mean: np.ndarray = np.where(varies, X.mean(axis=0), X[0])
    return mean


def figures(model: Autoencoder, split: Table) -> dict[str, Figure]:
    """Return reconstructions of samples and, for a linear model, components and scree
    plot.

    Samples and components are pictures if the columns are the pixels of square images.
    """
    found = {"reconstructions": _reconstructions(model, split)}
    if isinstance(model, LinearDecomposition):
        found["components"] = _components(model.components)
        found["scree"] = _scree(model, split)
    return found


def _reconstructions(model: Autoencoder, split: Table) -> Figure:
    reconstructed = model.reconstruct(split.X)
    if is_picture(split.X.shape[1]):
        n = min(SHOWN, len(split))
        rows = np.concatenate([split.X[:n], reconstructed[:n]])
        return pictures_figure(rows, columns=n, titles=("data", "reconstructed"))
    figure, axes = new_figure()
    axes.scatter(split.X.ravel(), reconstructed.ravel(), s=6, alpha=0.4)
    ends = [split.X.min(), split.X.max()]
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.set(xlabel="value", ylabel="reconstructed value")
    return figure


def _components(components: np.ndarray) -> Figure:
    q, d = components.shape
    if is_picture(d):
        return pictures_figure(components[: 2 * SHOWN], columns=min(q, SHOWN))
    limit = np.abs(components).max()
    figure, axes = new_figure(6.4, 1.4 + 0.28 * q)
    axes.grid(False)
    shown = axes.imshow(
        components, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto"
    )
    axes.set(xlabel="column", ylabel="component")
    figure.colorbar(shown, ax=axes, label="weight")
    return figure


def _scree(model: LinearDecomposition, split: Table) -> Figure:
    """Return each component's fraction of the variance of all columns."""
    code = model.transform(split.X)
    carried = code.var(axis=0) * np.sum(model.components**2, axis=1)
    total = float(np.mean((split.X - centre(split.X)) ** 2, axis=0).sum())
    share = np.sort(carried / total if total > 0 else np.zeros_like(carried))[::-1]
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(share) + 1), share, marker="o", markersize=4)
    axes.set(
        xlabel="component, by falling variance",
        ylabel="share of the variance of the rows",
        ylim=(0, None),
    )
    return figure


def example(split: Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: Autoencoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the code of each sample: `component_0`, ..."""
    code = model.transform(frame.to_numpy(np.float64))
    return pd.DataFrame(code, columns=[f"component_{j}" for j in range(code.shape[1])])
