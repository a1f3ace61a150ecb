"""The predictions of a classifier: their log loss, and frames with names of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def log_losses(y: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    """Return `log_loss`, the mean of -ln p(class of the sample), in nats, with
    probabilities clipped at 2.2e-16 as in scikit-learn, and `log_loss_clipped`, the
    fraction of samples that this concerns.

    Such a sample counts 36.04 nats where its loss is larger, or infinite, as for a pure
    leaf of a tree. y: (n,) classes. proba: (n, k).
    """
    own, eps = proba[np.arange(len(y)), y], np.finfo(np.float64).eps
    return {
        "log_loss": float(-np.log(own.clip(eps, 1.0 - eps)).mean()),
        "log_loss_clipped": float(np.mean(own < eps)),
    }


def confusion_counts(y: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """Return how many samples of each class are predicted as each, (k, k)."""
    return np.bincount(y * k + predicted, minlength=k * k).reshape(k, k)


def class_frame(proba: np.ndarray) -> pd.DataFrame:
    """Return the index of the most probable class, `prediction`, and the probability of
    each class, `probability_<index>`, for probabilities (n, k).
    """
    columns = {f"probability_{j}": proba[:, j] for j in range(proba.shape[1])}
    return pd.DataFrame({"prediction": proba.argmax(axis=1), **columns})


def with_class_names(served: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the frame of `class_frame` with the names of classes instead of indices.

    Classes that are all whole numbers stay numbers.
    """
    labels = np.array(classes, dtype=object)
    if all(name.lstrip("-").isdecimal() and str(int(name)) == name for name in classes):
        labels = labels.astype(np.int64)
    named = {f"probability_{j}": f"probability_{c}" for j, c in enumerate(classes)}
    predicted = labels[served["prediction"].to_numpy()]
    return served.assign(prediction=predicted).rename(columns=named)
