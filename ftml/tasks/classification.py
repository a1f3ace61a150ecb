"""Classification: predict one of k classes.

Models have `predict_proba(X) -> (n, k)`, for features (n, d) or, where the family says
so, for images, uint8, (n, H, W) or (n, H, W, 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from ftml.data.images import Images
from ftml.data.table import Table
from ftml.plots import confusion_figure, new_figure
from ftml.tasks._inputs import frame_of, input_of

DATA = Table
METRICS = {"accuracy": "max", "log_loss": "min", "macro_f1": "max"}


def evaluate(model: Any, split: Table | Images) -> dict[str, float]:
    """Return accuracy, mean log loss in nats, and the mean F1 score of the classes.

    A class that is neither predicted nor present counts as F1 = 0.
    """
    proba = model.predict_proba(split.X)
    labels = np.arange(len(split.classes))
    predicted = proba.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(split.y, predicted)),
        "log_loss": float(log_loss(split.y, proba, labels=labels)),
        "macro_f1": float(
            f1_score(
                split.y, predicted, labels=labels, average="macro", zero_division=0.0
            )
        ),
    }


def figures(model: Any, split: Table | Images) -> dict[str, Figure]:
    """Return the confusion matrix, and accuracy against confidence in ten bins."""
    proba = model.predict_proba(split.X)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    counts = confusion_matrix(split.y, predicted, labels=np.arange(len(split.classes)))
    return {
        "confusion": confusion_figure(counts, split.classes),
        "calibration": _calibration(confidence, predicted == split.y),
    }


def _calibration(confidence: np.ndarray, correct: np.ndarray) -> Figure:
    bins = np.minimum((confidence * 10).astype(int), 9)
    filled = [b for b in range(10) if (bins == b).any()]
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
    axes.plot(
        [confidence[bins == b].mean() for b in filled],
        [correct[bins == b].mean() for b in filled],
        marker="o",
        label="model",
    )
    axes.set(
        xlabel="mean confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02)
    )
    axes.legend()
    return figure


def example(split: Table | Images) -> pd.DataFrame:
    """Return the first three rows: a frame of features or of pixels."""
    return frame_of(split.X[:3], getattr(split, "feature_names", ()))


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the predicted class index and the probability of each class."""
    proba = model.predict_proba(input_of(frame))
    columns = {f"probability_{j}": proba[:, j] for j in range(proba.shape[1])}
    return pd.DataFrame({"prediction": proba.argmax(axis=1), **columns})
