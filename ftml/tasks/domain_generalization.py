"""Domain generalization: predict one of k classes in domains that are not in training.

Models have `predict_proba(x) -> (n, k)` for features (n, d), NaN where a value is
missing, or uint8 images, grey (n, H, W) or in colour (n, H, W, 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.domains import Domains
from ftml.names import name_part
from ftml.plots import (
    COLOURS,
    calibration_figure,
    confusion_figure,
    new_figure,
    share_interval,
)
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

DATA = (Domains,)
METRICS = {
    "accuracy": "max",
    "worst_accuracy": "max",
    "balanced_accuracy": "max",
    "auc": "max",
    "log_loss": "min",
    "log_loss_clipped": "min",
}


def evaluate(model: Classifier, split: Domains) -> dict[str, float]:
    """Return the metrics of each domain, with keys `accuracy/<domain>`, and over all
    domains.

    All domains have equal weight (see `over_domains`). `balanced_accuracy` is the mean
    recall of the classes that a domain holds. `auc` exists for two classes only, and
    for the domains that hold both. The log loss is that of `log_losses`. Raises
    ValueError for a split without samples.
    """
    check_samples(split)
    proba = model.predict_proba(split.x)
    labels = np.arange(len(split.class_names))
    metrics: dict[str, float] = {}
    for name, rows in _domains(split):
        scores = _scores(split.y[rows], proba[rows], labels=labels)
        metrics |= {f"{key}/{domain_key(name)}": v for key, v in scores.items()}
    return over_domains([metrics])


def over_domains(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of all domains together, from those of each in some parts.

    Each part holds `<metric>/<domain>` of domains that no other part has. A metric is
    the mean over the domains that have it; `worst_accuracy` is that of the worst
    domain.
    """
    single = {k: v for part in parts for k, v in part.items() if "/" in k}
    values: dict[str, list[float]] = {}
    for key, value in single.items():
        values.setdefault(key.partition("/")[0], []).append(value)
    metrics = {name: float(np.mean(values[name])) for name in METRICS if name in values}
    return metrics | {"worst_accuracy": min(values["accuracy"])} | single


def _scores(
    y: np.ndarray, proba: np.ndarray, *, labels: np.ndarray
) -> dict[str, float]:
    """Return the metrics of one domain, for classes y (n,) and probabilities (n, k)."""
    from sklearn.metrics import roc_auc_score

    correct = proba.argmax(axis=1) == y
    scores = {
        "accuracy": correct.mean(),
        "balanced_accuracy": np.mean([correct[y == c].mean() for c in np.unique(y)]),
        **log_losses(y, proba),
    }
    if len(labels) == 2 and len(np.unique(y)) == 2:
        scores["auc"] = roc_auc_score(y, proba[:, 1])
    return {name: float(value) for name, value in scores.items()}


def figures(model: Classifier, split: Domains) -> dict[str, Figure]:
    """Return the confusion matrix, accuracy against confidence and, for several
    domains, the accuracy of each.
    """
    proba = model.predict_proba(split.x)
    predicted = proba.argmax(axis=1)
    correct = predicted == split.y
    counts = confusion_counts(split.y, predicted, len(split.class_names))
    found = {
        "confusion": confusion_figure(counts, split.class_names),
        "calibration": calibration_figure(proba.max(axis=1), correct),
    }
    parts = {name: correct[rows] for name, rows in _domains(split)}
    if len(parts) > 1:
        found["accuracy_by_domain"] = _accuracy_by_domain(parts)
    return found


def _accuracy_by_domain(parts: Mapping[str, np.ndarray]) -> Figure:
    """Return the accuracy of each domain with its 95 % interval, with the worst
    on top.
    """
    order = sorted(parts, key=lambda name: parts[name].mean())
    figure, axes = new_figure(6.0, 1.1 + 0.36 * len(order))
    for row, name in enumerate(order):
        right, n = int(parts[name].sum()), len(parts[name])
        low, high = share_interval(right, n)
        axes.plot([low, high], [row, row], color=COLOURS[0], linewidth=2)
        axes.plot(right / n, row, "o", color=COLOURS[0], markersize=6)
    axes.set_yticks(range(len(order)), [f"{n} ({len(parts[n])} rows)" for n in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set(xlabel="accuracy, with its 95 % interval", ylabel="domain")
    return figure


def example(split: Domains) -> pd.DataFrame:
    """Return the first three samples: a frame of features or of pixels."""
    return frame_of(split.x[:3], split.feature_names)


def serve(model: Classifier, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the predicted class index and the probability of each class."""
    return class_frame(model.predict_proba(input_of(frame)))


def _domains(split: Domains) -> Iterator[tuple[str, slice]]:
    """Yield the name and the samples of each domain that has any."""
    ends = split.offsets
    for name, start, stop in zip(split.domain_names, ends[:-1], ends[1:], strict=True):
        if start < stop:
            yield name, slice(start, stop)


def domain_key(name: str) -> str:
    """Return a domain's name as part of a metric's key, which no other name has."""
    return name_part(name)
