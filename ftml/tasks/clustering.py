"""Clustering: assign samples to groups, each with a centre. Training uses no label.

Models have `predict(X) -> (n,)`, the index of each sample's cluster, and `centers (k,
d)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ftml.data.standardize import unit_of
from ftml.data.table import Table
from ftml.plots import COLOURS, new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._pictures import Plane, is_picture, pictures_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Table,)
METRICS = {"silhouette": "max", "inertia": "min"}

MARKERS = "o^sDPX"
"Markers distinguish clusters when there are more clusters than colours."

N_ROWS, SEED = 1000, 0
"Largest number of samples for the silhouette, and the seed that selects them."

FAR = 1e6
"How many times the squared distances within clusters squares of values may be."


def evaluate(model: Any, split: Table) -> dict[str, float]:
    """Return the separation of the clusters, and the distance of samples from their
    centres.

        silhouette = mean of (b - a) / max(a, b)
        inertia    = mean of |x - c(x)|^2, per sample

    a is a sample's mean distance to the others of its cluster, b that to the nearest
    other cluster; a sample alone in its cluster counts 0, and so do all if only one
    cluster is found. The silhouette is computed from at most 1,000 samples, the same in
    every call. If the table has classes, `adjusted_rand` is the agreement of the
    clusters with them: 1 if they are the same, 0 by chance. Inertia falls with every
    further centre, so it can only compare models with the same k. Raises ValueError for
    a split without samples.
    """
    from sklearn.metrics import adjusted_rand_score

    check_samples(split)
    labels = model.predict(split.X)
    scores = {
        "silhouette": silhouette(split.X, labels),
        "inertia": float(np.mean(np.sum((split.X - model.centers[labels]) ** 2, 1))),
    }
    if split.classes:
        scores["adjusted_rand"] = float(adjusted_rand_score(split.y, labels))
    return scores


def silhouette(X: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean silhouette of at most 1,000 of the samples X (n, d)."""
    from scipy.spatial.distance import cdist
    from sklearn.metrics import silhouette_score

    if len(X) > N_ROWS:
        rows = np.random.default_rng(SEED).choice(len(X), N_ROWS, replace=False)
        X, labels = X[rows], labels[rows]
    if not 1 < len(np.unique(labels)) < len(X):
        return 0.0
    X = X / unit_of(X.reshape(-1))
    if _is_far(X, labels):
        return float(silhouette_score(cdist(X, X), labels, metric="precomputed"))
    return float(silhouette_score(X, labels))


def _is_far(X: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether rows X (n, d) are so far from 0, beside their distances to their
    cluster's mean, that distances from products of rows would be rounding.
    """
    away = np.zeros(len(X))
    for label in np.unique(labels):
        own = labels == label
        away[own] = np.sum((X[own] - X[own].mean(axis=0)) ** 2, axis=1)
    away = np.sort(away[away > 0])
    farthest = float(np.max(np.sum(X**2, axis=1)))
    return bool(len(away) and farthest > FAR * away[len(away) // 10])


def figures(model: Any, split: Table) -> dict[str, Figure]:
    """Return the clusters in the plane of the first two components, and their sizes.

    Sizes are divided by class if there are classes. If the columns are the pixels of
    square images, each centre is shown as a picture with samples of its cluster.
    """
    labels = model.predict(split.X)
    found = {
        "clusters": _clusters(model, split, labels),
        "sizes": _sizes(len(model.centers), split, labels),
    }
    if is_picture(split.X.shape[1]):
        found["centers"] = _quantised(model.centers, split, labels)
    return found


def _clusters(model: Any, split: Table, labels: np.ndarray) -> Figure:
    plane = Plane(split.X)
    place, centers = plane.place(split.X), plane.place(model.centers)
    figure, axes = new_figure(6.4, 5.0)
    for j in range(len(centers)):
        x, y = place[labels == j].T
        again, colour = divmod(j, len(COLOURS))
        marker = MARKERS[again % len(MARKERS)]
        axes.scatter(x, y, s=14, alpha=0.6, color=COLOURS[colour], marker=marker)
    for j, (x, y) in enumerate(centers):
        axes.text(
            x,
            y,
            str(j),
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "circle", "facecolor": "white", "pad": 0.2},
        )
    axes.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    return figure


def _sizes(k: int, split: Table, labels: np.ndarray) -> Figure:
    """Return one bar per cluster, divided by class if there are classes."""
    classes = split.classes or ("",)
    of_class = split.y if split.classes else np.zeros(len(split), np.int64)
    figure, axes = new_figure(6.4, 4.0)
    below = np.zeros(k)
    shades = np.linspace(0.05, 0.95, len(classes))
    for c, name in enumerate(classes):
        count = np.bincount(labels[of_class == c], minlength=k)
        colour = _shade(shades[c]) if split.classes else COLOURS[0]
        axes.bar(np.arange(k), count, bottom=below, label=name, color=colour)
        below += count
    axes.set(xlabel="cluster", ylabel="rows", xticks=np.arange(k))
    if split.classes:
        figure.legend(title="class", loc="outside right upper", fontsize=8)
    return figure


def _shade(position: float) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](position)


def _quantised(centers: np.ndarray, split: Table, labels: np.ndarray) -> Figure:
    """Return each centre, and below it the first samples of its cluster."""
    shown, n_rows = centers[:16], 4
    blank = np.full(split.X.shape[1], np.nan)
    lines = [shown]
    for i in range(n_rows):
        mine = [np.flatnonzero(labels == j) for j in range(len(shown))]
        lines.append(np.array([split.X[m[i]] if i < len(m) else blank for m in mine]))
    stacked = np.concatenate(lines)
    titles = ("centre", "rows", *[""] * (n_rows - 1))
    return pictures_figure(stacked, columns=len(shown), titles=titles)


def example(split: Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of each sample's cluster and its distance to that centre."""
    X = frame.to_numpy(np.float64)
    labels = model.predict(X)
    distance = np.linalg.norm(X - model.centers[labels], axis=1)
    return pd.DataFrame({"cluster": labels, "distance": distance})
