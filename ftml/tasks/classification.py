"""Classification: predict one of k classes.

Models have `predict_proba(X) -> (n, k)`, for features (n, d) or, if the family supports
them, for images, uint8, (n, H, W) or (n, H, W, 3), for sequences, `Ragged`, or for
trees, `Forest`. Models for symbols have the `vocabulary`, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.images import Images
from ftml.data.sequences import Sequences
from ftml.data.table import Table
from ftml.data.trees import Trees
from ftml.plots import COLOURS, calibration_figure, confusion_figure, new_figure
from ftml.tasks._classes import (
    class_frame,
    confusion_counts,
    log_losses,
    with_class_names,
)
from ftml.tasks._inputs import check_samples, frame_of, input_of
from ftml.tasks._models import Classifier

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["with_class_names"]

DATA = (Table, Images, Sequences, Trees)
Labelled = Table | Images | Sequences | Trees
METRICS = {
    "accuracy": "max",
    "log_loss": "min",
    "log_loss_clipped": "min",
    "macro_f1": "max",
    "macro_precision": "max",
    "macro_recall": "max",
    "macro_specificity": "max",
    "auc": "max",
    "average_precision": "max",
    "precision": "max",
    "recall": "max",
    "f1": "max",
}
PARTIAL = ("auc", "average_precision", "precision", "recall", "f1")
"The metrics of the positive class, which exist for two classes only."
SCORES = ("f1", "precision", "recall", "specificity")
"The scores of a class against all others."


def evaluate(model: Classifier, split: Labelled) -> dict[str, float]:
    """Return accuracy, the log loss (see `log_losses`), and the means over the classes
    of F1, precision, recall and specificity (see `scores_by_class`).

    For two classes, also F1, precision and recall of the positive class and, if the
    split has samples of both, the area under the ROC curve (`auc`) and the average
    precision, sum_i (R_i - R_{i-1}) P_i over the thresholds of the probability. The
    positive class is `positive` of the split, or the second. Raises ValueError for a
    split without samples.
    """
    from sklearn.metrics import accuracy_score

    check_samples(split)
    proba = model.predict_proba(split.X)
    labels = np.arange(len(split.classes))
    predicted = proba.argmax(axis=1)
    by_class = scores_by_class(split.y, predicted, labels)
    metrics = {
        "accuracy": float(accuracy_score(split.y, predicted)),
        **log_losses(split.y, proba),
        **{f"macro_{name}": float(values.mean()) for name, values in by_class.items()},
    }
    if len(labels) == 2:
        metrics |= _of_positive_class(split, proba)
        c = positive_class(split)
        metrics |= {name: float(by_class[name][c]) for name in PARTIAL[2:]}
    return metrics


def positive_class(split: Labelled) -> int:
    """Return the index of the positive class of two: the second by default."""
    given: int | None = getattr(split, "positive", None)
    return 1 if given is None else given


def _of_positive_class(split: Labelled, proba: np.ndarray) -> dict[str, float]:
    """Return the metrics over all thresholds; none for a split of one class."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    c = positive_class(split)
    if len(np.unique(split.y)) < 2:
        return {}
    return {
        "auc": float(roc_auc_score(split.y == c, proba[:, c])),
        "average_precision": float(average_precision_score(split.y == c, proba[:, c])),
    }


def scores_by_class(
    y: np.ndarray, predicted: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each of SCORES for each class against all others, (k,) in [0, 1].

    With true and false positives and negatives: precision TP / (TP + FP), recall TP /
    (TP + FN), specificity TN / (TN + FP), F1 2 TP / (2 TP + FP + FN); 0 / 0 is 0.
    y, predicted: (n,) classes; labels: (k,) all classes.
    """
    k = len(labels)
    tp = np.bincount(y[y == predicted], minlength=k).astype(float)
    fp = np.bincount(predicted, minlength=k) - tp
    fn = np.bincount(y, minlength=k) - tp
    tn = len(y) - tp - fp - fn
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


def figures(model: Classifier, split: Labelled) -> dict[str, Figure]:
    """Return the confusion matrix, the scores of each class, and accuracy against
    confidence in ten bins; for two classes also the ROC curve and precision against
    recall, if the split has samples of both.
    """
    proba = model.predict_proba(split.X)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    labels = np.arange(len(split.classes))
    counts = confusion_counts(split.y, predicted, len(labels))
    scores = scores_by_class(split.y, predicted, labels)
    found = {
        "confusion": confusion_figure(counts, split.classes),
        "scores_by_class": _scores_by_class(scores, counts.sum(axis=1), split.classes),
        "calibration": calibration_figure(confidence, predicted == split.y),
    }
    if len(labels) == 2 and len(np.unique(split.y)) == 2:
        found |= _curves(split, proba)
    return found


def _curves(split: Labelled, proba: np.ndarray) -> dict[str, Figure]:
    """Return the curves over all thresholds of the positive class's probability."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    c = positive_class(split)
    y, scores = split.y == c, proba[:, c]
    values = _of_positive_class(split, proba)
    false_positives, true_positives, _ = roc_curve(y, scores)
    roc, axes = new_figure(5.0, 4.6)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="by chance, AUC 0.5")
    label = f"AUC {values['auc']:.4g}"
    axes.plot(false_positives, true_positives, color=COLOURS[0], label=label)
    axes.set(xlabel="false positive rate", ylabel=f"recall of class {split.classes[c]}")
    axes.legend(loc="lower right")
    precision, recall, _ = precision_recall_curve(y, scores)
    against, axes = new_figure(5.0, 4.6)
    share = y.mean()
    label = f"by chance, precision {share:.3g}"
    axes.axhline(share, color="black", linewidth=0.8, label=label)
    label = f"average precision {values['average_precision']:.4g}"
    # The value at a recall holds from the recall before: a step function.
    axes.step(recall, precision, where="post", color=COLOURS[0], label=label)
    axes.set(
        xlabel=f"recall of class {split.classes[c]}",
        ylabel=f"precision of class {split.classes[c]}",
        ylim=(0, 1.05),
    )
    axes.legend(loc="lower left")
    return {"roc": roc, "precision_recall": against}


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


def serve(model: Classifier, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the predicted class index and the probability of each class."""
    X = input_of(frame, getattr(model, "vocabulary", ()))
    return class_frame(model.predict_proba(X))
