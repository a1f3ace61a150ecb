"""Weights of samples by their class. Axes: n samples, k classes."""

from __future__ import annotations

from typing import Literal

import numpy as np

ClassWeight = Literal["balanced"] | None
"How samples are weighted: all equally for None."


def sample_weights(y: np.ndarray, class_weight: ClassWeight) -> np.ndarray | None:
    """Return the weight of each sample, (n,) float64; None if all are equal.

    "balanced": n / (k n_c) for the n_c samples of class c of the k classes that occur,
    as in scikit-learn: all classes have the same sum, and the mean weight is 1.
    y: (n,) class indices.
    """
    if class_weight is None:
        return None
    _, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    weights: np.ndarray = (len(y) / (len(counts) * counts))[index]
    return weights
