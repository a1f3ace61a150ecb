"""Classification: predict one of k classes.

Models have `predict_proba(X) -> (n, k)`, for features (n, d) or, if the family supports
them, for images, uint8, (n, H, W) or (n, H, W, 3), for sequences, `Ragged`, or for
trees, `Forest`. Models for symbols have the `vocabulary`, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    multilabel_confusion_matrix,
)

from ftml.data.images import Images
from ftml.data.sequences import Sequences
from ftml.data.table import Table
from ftml.data.trees import Trees
from ftml.plots import calibration_figure, confusion_figure, new_figure
from ftml.tasks._classes import class_frame, with_class_names
from ftml.tasks._inputs import frame_of, input_of

__all__ = ["with_class_names"]

DATA = (Table, Images, Sequences, Trees)
Labelled = Table | Images | Sequences | Trees
METRICS = {
    "accuracy": "max",
    "log_loss": "min",
    "macro_f1": "max",
    "macro_precision": "max",
    "macro_recall": "max",
    "macro_specificity": "max",
}
SCORES = ("f1", "precision", "recall", "specificity")
"The scores of a class against all others."


def evaluate(model: Any, split: Labelled) -> dict[str, float]:
    """Return accuracy, mean log loss in nats, and the means over the classes of F1,
    precision, recall and specificity (see `scores_by_class`).
    """
    proba = model.predict_proba(split.X)
    labels = np.arange(len(split.classes))
    predicted = proba.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(split.y, predicted)),
        "log_loss": float(log_loss(split.y, proba, labels=labels)),
        **{
            f"macro_{name}": float(values.mean())
            for name, values in scores_by_class(split.y, predicted, labels).items()
        },
    }


def scores_by_class(
    y: np.ndarray, predicted: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each of SCORES for each class against all others, (k,) in [0, 1].

    With true and false positives and negatives: precision TP / (TP + FP), recall TP /
    (TP + FN), specificity TN / (TN + FP), F1 2 TP / (2 TP + FP + FN); 0 / 0 is 0.
    y, predicted: (n,) classes; labels: (k,) all classes.
    """
    counts = multilabel_confusion_matrix(y, predicted, labels=labels)
    (tn, fp), (fn, tp) = counts.transpose(1, 2, 0).astype(float)
    parts = {
        "f1": (2 * tp, fp + fn),
        "precision": (tp, fp),
        "recall": (tp, fn),
        "specificity": (tn, fp),
    }
    return {
        name: np.divide(good, good + bad, out=np.zeros(len(labels)), where=good > 0)
        for name, (good, bad) in parts.items()
    }


def figures(model: Any, split: Labelled) -> dict[str, Figure]:
    """Return the confusion matrix, the scores of each class, and accuracy against
    confidence in ten bins.
    """
    proba = model.predict_proba(split.X)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    labels = np.arange(len(split.classes))
    counts = confusion_matrix(split.y, predicted, labels=labels)
    scores = scores_by_class(split.y, predicted, labels)
    return {
        "confusion": confusion_figure(counts, split.classes),
        "scores_by_class": _scores_by_class(scores, counts.sum(axis=1), split.classes),
        "calibration": calibration_figure(confidence, predicted == split.y),
    }


def _scores_by_class(
    scores: Mapping[str, np.ndarray], rows: np.ndarray, classes: Sequence[str]
) -> Figure:
    figure, axes = new_figure(5.6, 1.2 + 0.32 * len(classes))
    axes.grid(False)
    shown = np.column_stack([scores[name] for name in SCORES])
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(shown.shape):
        colour = "white" if shown[i, j] > 0.5 else "black"
        axes.text(j, i, f"{shown[i, j]:.3f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(SCORES)), SCORES)
    names = [f"{name} ({n})" for name, n in zip(classes, rows, strict=True)]
    axes.set_yticks(range(len(classes)), names)
    axes.set_ylabel("class (rows)")
    figure.colorbar(image, ax=axes, label="score")
    return figure


def example(split: Labelled) -> pd.DataFrame:
    """Return the first three samples: features, pixels, sequences or trees."""
    first = split.rows(np.arange(min(3, len(split))))
    return frame_of(first.X, getattr(split, "feature_names", ()))


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the predicted class index and the probability of each class."""
    X = input_of(frame, getattr(model, "vocabulary", ()))
    return class_frame(model.predict_proba(X))
