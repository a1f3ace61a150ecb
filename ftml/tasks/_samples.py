"""How far what a model draws is from data: the Frechet distance, precision and recall.

Both are taken between the features of rows. Those of images come from the judge of
their dataset, a LeNet-5 that was trained on its training images when they were
prepared: the 84 numbers before its last layer. So they are the same for all studies of
the dataset, cost no training, and depend on nothing but the data. Images without a
judge are compared by their pixels from 0 to 1. Mean and covariance of the columns of a
table say nothing of its modes: its rows are compared by random Fourier features, cos(b
+ w'x) of its columns x, centred and scaled, with b uniform and w normal of the
deviations 1 / sqrt(d) and 8 / sqrt(d), from a fixed seed.

    d^2 = |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)

of means m and covariances S is the Frechet distance of two Gaussians: 0 only where both
moments are equal. It falls with the number of rows, so only values of equally many rows
can be compared.

Precision is the share of draws that lie among the rows, recall the share of rows that
lie among the draws: within the distance of any point from its third neighbour.

Axes: n rows or draws, d features.

Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule"; Kynkaanniemi
et al. 2019, "Improved precision and recall metric for assessing generative models".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from ftml.data.standardize import apply_scaling, learn_scaling

NEIGHBOURS = 3
SEED = 0
FREQUENCIES = (1.0, 8.0)
"Deviations of the frequencies of random features of tables."
N_FEATURES = 32
"Random features of each deviation."
COVERED = 0.1
"Share of the draws due to a class by its rows, from which on it is covered."
RADII = 3.0
"A draw is of a class within so many root-mean-square distances of its rows."


def frechet_distance(A: np.ndarray, B: np.ndarray) -> float:
    """Return d^2 between Gaussians fitted to features A (n, d) and B (n', d)."""
    mean = A.mean(axis=0) - B.mean(axis=0)
    S, T = (np.atleast_2d(np.cov(each, rowvar=False, bias=True)) for each in (A, B))
    values, vectors = np.linalg.eigh(S)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ T @ root)
    cross = np.sqrt(np.maximum(inner, 0.0)).sum()
    # Rounding may leave a little less than 0 where both are equal.
    return max(0.0, float(mean @ mean + np.trace(S) + np.trace(T) - 2.0 * cross))


def precision_recall(rows: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Return precision and recall of draws (n', d) against rows (n, d)."""
    between = cdist(drawn, rows)
    precision = np.any(between <= _radii(rows), axis=1).mean()
    recall = np.any(between <= _radii(drawn)[:, None], axis=0).mean()
    return float(precision), float(recall)


def _radii(points: np.ndarray) -> np.ndarray:
    """Return each point's distance from its third neighbour, (n,)."""
    k = min(NEIGHBOURS, len(points) - 1)
    distances: np.ndarray = np.partition(cdist(points, points), k, axis=1)
    return distances[:, k]  # it stands before these itself, at 0


def features_of(split: Any, X: np.ndarray) -> np.ndarray:
    """Return features (n, d) of data as those of a split are."""
    if X.dtype != np.uint8:
        return _random_features(split, X)
    if split.judge is None:
        return X.reshape(len(X), -1) / 255.0
    features: np.ndarray = split.judge.features(X)
    return features


def _random_features(split: Any, X: np.ndarray) -> np.ndarray:
    scaled = apply_scaling(X, learn_scaling(split.X))
    rng, parts = np.random.default_rng(SEED), []
    for frequency in FREQUENCIES:
        w = frequency * rng.normal(size=(X.shape[1], N_FEATURES)) / X.shape[1] ** 0.5
        parts.append(np.cos(scaled @ w + rng.uniform(0, 2 * np.pi, N_FEATURES)))
    return np.hstack(parts)


def classes_of(split: Any, X: np.ndarray) -> np.ndarray | None:
    """Return the class (n,) of each draw, -1 for none; None where that is not known.

    The judge tells that of images; a row of a table is of the class whose mean is
    nearest, counted in the root-mean-square distance of its rows, if it is not more
    than three of these away.
    """
    if not split.classes:
        return None
    if X.dtype == np.uint8:
        return None if split.judge is None else split.judge.predict(X)
    present = np.unique(split.y)
    groups = [split.X[split.y == c] for c in present]
    means = np.stack([each.mean(axis=0) for each in groups])
    radii = np.sqrt([group.var(axis=0).sum() for group in groups])
    away = cdist(X, means) / np.maximum(radii, np.finfo(float).tiny)
    nearest = away.argmin(axis=1)
    return np.where(away.min(axis=1) <= RADII, present[nearest], -1)


def covered(split: Any, X: np.ndarray) -> float | None:
    """Return how many of the split's classes have draws; None where none are known.

    A class has them when there are at least a tenth of those that are due to it.
    """
    found = classes_of(split, X)
    if found is None:
        return None
    k = len(split.classes)
    of_rows = np.bincount(split.y, minlength=k) / len(split.y)
    of_drawn = np.bincount(found[found >= 0], minlength=k) / len(found)
    return float(np.sum((of_rows > 0) & (of_drawn >= COVERED * of_rows)))
