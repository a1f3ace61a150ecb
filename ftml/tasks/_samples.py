"""Distance of generated samples from data: the Frechet distance, precision and recall.

All are computed on features of the samples. For images these are the 84 activations
before the last layer of the dataset's feature extractor, a LeNet-5 that is trained on
the training images when the dataset is prepared. So the features are the same for all
studies of the dataset, and depend on nothing but the data. Images without a feature
extractor are compared by their pixels from 0 to 1. Mean and covariance of the columns
of a table contain no information on its modes, so tables are compared by random Fourier
features, cos(b + w'x) of the columns x, centred and scaled, with b uniform and w normal
with standard deviations 1 / sqrt(d) and 8 / sqrt(d), from a fixed seed.

    d^2 = |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)

of means m and covariances S is the Frechet distance of two Gaussians: 0 only if both
means and both covariances are equal. It falls with the number of samples, so only
values of equally many samples can be compared.

Precision is the fraction of generated samples that lie among the data, recall the
fraction of the data that lie among the generated samples. A point lies among others if
it is within the distance of any of them from its third neighbour.

Axes: n samples of the data or generated samples, d features.

Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule"; Kynkaanniemi
et al. 2019, "Improved precision and recall metric for assessing generative models".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ftml.data.standardize import apply_scaling, learn_scaling, unit_of

NEIGHBOURS = 3
SEED = 0
FREQUENCIES = (1.0, 8.0)
"Standard deviations of the frequencies of random features of tables."
N_FEATURES = 32
"Random features of each standard deviation."
COVERED = 0.1
"A class is covered from this fraction of its expected number of generated samples on."
RADII = 3.0
"""A generated sample belongs to a class within this number of root-mean-square
distances.
"""


def frechet_distance(A: np.ndarray, B: np.ndarray) -> float:
    """Return d^2 between Gaussians fitted to features A (n, d) and B (n', d).

    The covariances are (d, d) unless there are more features than samples: then the
    traces are taken from products of samples, (n, n').
    """
    mean = A.mean(axis=0) - B.mean(axis=0)
    if A.shape[1] > max(len(A), len(B)):
        return max(0.0, float(mean @ mean) + _trace_of_few_samples(A, B))
    S, T = (np.atleast_2d(np.cov(each, rowvar=False, bias=True)) for each in (A, B))
    values, vectors = np.linalg.eigh(S)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ T @ root)
    cross = np.sqrt(np.maximum(inner, 0.0)).sum()
    # Rounding may give a value slightly below 0 if both are equal.
    return max(0.0, float(mean @ mean + np.trace(S) + np.trace(T) - 2.0 * cross))


def _trace_of_few_samples(A: np.ndarray, B: np.ndarray) -> float:
    """Return tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2) of features A (n, d) and B (n', d).

    With S = A'A / n and S' = B'B / n' of centred features, the eigenvalues of S^1/2 S'
    S^1/2 above 0 are the squared singular values of A B' / sqrt(n n').
    """
    A, B = A - A.mean(axis=0), B - B.mean(axis=0)
    cross = np.linalg.svd(A @ B.T, compute_uv=False).sum() / np.sqrt(len(A) * len(B))
    return float(A.ravel() @ A.ravel() / len(A) + B.ravel() @ B.ravel() / len(B)) - (
        2.0 * float(cross)
    )


def precision_recall(rows: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """Return precision and recall of generated samples (n', d) against data (n, d)."""
    from scipy.spatial.distance import cdist

    between = cdist(generated, rows)
    precision = np.any(between <= _radii(rows), axis=1).mean()
    recall = np.any(between <= _radii(generated)[:, None], axis=0).mean()
    return float(precision), float(recall)


def _radii(points: np.ndarray) -> np.ndarray:
    """Return each point's distance from its third neighbour, (n,)."""
    from scipy.spatial.distance import cdist

    k = min(NEIGHBOURS, len(points) - 1)
    distances: np.ndarray = np.partition(cdist(points, points), k, axis=1)
    # each point itself, at distance 0, comes before its neighbours
    return distances[:, k]


def features_of(split: Any, X: np.ndarray) -> np.ndarray:
    """Return features (n, d) of samples, by the method for the data of a split."""
    if X.dtype != np.uint8:
        return _random_features(split, X)
    if split.feature_extractor is None:
        return X.reshape(len(X), -1) / 255.0
    features: np.ndarray = split.feature_extractor.features(X)
    return features


def _random_features(split: Any, X: np.ndarray) -> np.ndarray:
    scaled = apply_scaling(X, learn_scaling(split.X))
    rng, parts = np.random.default_rng(SEED), []
    for frequency in FREQUENCIES:
        w = frequency * rng.normal(size=(X.shape[1], N_FEATURES)) / X.shape[1] ** 0.5
        parts.append(np.cos(scaled @ w + rng.uniform(0, 2 * np.pi, N_FEATURES)))
    return np.hstack(parts)


def classes_of(split: Any, X: np.ndarray) -> np.ndarray | None:
    """Return the class (n,) of each generated sample, -1 for none; None if that is
    unknown.

    The feature extractor classifies images. A sample of a table has the class with the
    nearest mean, measured in the root-mean-square distance of the class's samples from
    it, if it is at most three of these away.
    """
    from scipy.spatial.distance import cdist

    if not split.classes:
        return None
    if X.dtype == np.uint8:
        return (
            None
            if split.feature_extractor is None
            else split.feature_extractor.predict(X)
        )
    unit = unit_of(split.X.reshape(-1))  # without it, squares may overflow
    X, present = X / unit, np.unique(split.y)
    groups = [split.X[split.y == c] / unit for c in present]
    means = np.stack([each.mean(axis=0) for each in groups])
    radii = np.sqrt([group.var(axis=0).sum() for group in groups])
    # A class of one sample has no radius: nothing but that sample is in it.
    with np.errstate(over="ignore"):
        away = cdist(X, means) / np.maximum(radii, np.finfo(float).tiny)
    nearest = away.argmin(axis=1)
    return np.where(away.min(axis=1) <= RADII, present[nearest], -1)


def covered(split: Any, X: np.ndarray) -> float | None:
    """Return how many of the split's classes the samples cover; None if classes are
    unknown.

    A class is covered if there are at least a tenth of its expected number of samples.
    """
    found = classes_of(split, X)
    if found is None:
        return None
    k = len(split.classes)
    of_rows = np.bincount(split.y, minlength=k) / len(split.y)
    of_generated = np.bincount(found[found >= 0], minlength=k) / len(found)
    return float(np.sum((of_rows > 0) & (of_generated >= COVERED * of_rows)))
