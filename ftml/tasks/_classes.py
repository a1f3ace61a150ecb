"""The predictions of a classifier as a frame, by index and by the names of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


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
