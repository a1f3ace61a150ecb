"""Lloyd's steps never raise the inertia, and end where each centre is its rows' mean.

    (1/n) sum_i min_j |x_i - c_j|^2

The digits, ten clusters, one start. The measured value is the larger of the largest
rise of the inertia in a step, relative to it, and of the largest distance at the end
between a centre and the mean of the rows nearest to it, in standard deviations of a
pixel.

Source: FTML lecture 9, "Unsupervised learning: clustering"; Deep learning cheat sheet,
section 17.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from ftml.data import Splits, Table
from ftml.evidence import Budget, Evidence
from ftml.families.clustering import kmeans
from ftml.plots import new_figure

K = 10


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest rise, or the largest distance at the end."""
    X = load_digits().data
    config = kmeans.Config(
        seed=seed, n_clusters=K, n_init=1, n_iterations=300, tolerance=0.0
    )
    steps = list(kmeans.train(config, Splits(Table(X))))
    values = np.array([step.metrics["train_inertia"] for step in steps])
    model = steps[-1].model
    labels = model.predict(X)
    means = np.stack([X[labels == j].mean(axis=0) for j in range(K)])
    away = np.abs(means - model.centers).max() / X.std()
    return Evidence(
        expected=0.0,
        measured=max(float((np.diff(values) / values[:-1]).max()), float(away)),
        tolerance=1e-12,
        figure=lambda: descent(values),
    )


def descent(values: np.ndarray) -> Figure:
    """Plot the inertia over the steps."""
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=4)
    axes.set(xlabel="step of Lloyd's algorithm", ylabel="inertia per sample")
    return figure
