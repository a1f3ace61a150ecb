"""What the task classification scores, plots and serves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ftml.data import Images, Table
from ftml.families.linear.softmax_regression import Model
from ftml.tasks import classification


@pytest.fixture
def split() -> Table:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    X = rng.normal(size=(30, 2)) + np.eye(3, 2)[y]
    return Table(X, y, feature_names=("age", "size"), classes=("a", "b", "c"))


MODEL = Model(np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [0.1, 0.0, 0.2]]))


def test_metrics_equal_those_of_scikit_learn(split: Table) -> None:
    proba = MODEL.predict_proba(split.X)
    predicted = proba.argmax(axis=1)
    assert classification.evaluate(MODEL, split) == {
        "accuracy": accuracy_score(split.y, predicted),
        "log_loss": log_loss(split.y, proba),
        "log_loss_clipped": 0.0,
        "macro_f1": pytest.approx(f1_score(split.y, predicted, average="macro")),
        "macro_precision": precision_score(split.y, predicted, average="macro"),
        "macro_recall": recall_score(split.y, predicted, average="macro"),
        "macro_specificity": np.mean(
            [recall_score(split.y != c, predicted != c) for c in range(3)]
        ),
    }


def test_metrics_by_hand() -> None:
    # All probabilities are 1/2, so class 0 is predicted: right once in four. Its F1 is
    # 2 * 1 / (4 + 1), the other's 0.
    split = Table(np.zeros((4, 1)), np.array([0, 1, 1, 1]), classes=("a", "b"))
    metrics = classification.evaluate(Model(np.zeros((2, 2))), split)
    # Precision is (1/4, 0/0), recall (1, 0), specificity (0, 1).
    expected = {
        "accuracy": 0.25,
        "log_loss": np.log(2),
        "log_loss_clipped": 0.0,
        "macro_f1": 0.2,
        "macro_precision": 0.125,
        "macro_recall": 0.5,
        "macro_specificity": 0.5,
        "auc": 0.5,
        "average_precision": 0.75,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
    }
    assert metrics == pytest.approx(expected, rel=1e-14)


def two_classes(positive: int | None = None) -> tuple[Model, Table]:
    """Return a model of two classes and a split that it is right on in part."""
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [30, 12])
    X = rng.normal(size=(42, 1)) + y[:, None]
    model = Model(np.array([[-1.0, 1.0], [0.5, 0.0]]))
    return model, Table(X, y, classes=("no", "yes"), positive=positive)


@pytest.mark.parametrize("positive", [None, 1, 0])
def test_metrics_of_the_positive_class_are_those_of_scikit_learn(
    positive: int | None,
) -> None:
    model, split = two_classes(positive)
    c = 1 if positive is None else positive
    proba = model.predict_proba(split.X)
    y, predicted = split.y == c, proba.argmax(axis=1) == c
    metrics = classification.evaluate(model, split)
    assert list(metrics) == list(classification.METRICS)
    assert {name: metrics[name] for name in classification.PARTIAL} == {
        "auc": roc_auc_score(y, proba[:, c]),
        "average_precision": average_precision_score(y, proba[:, c]),
        "precision": precision_score(y, predicted),
        "recall": recall_score(y, predicted),
        "f1": pytest.approx(f1_score(y, predicted)),
    }


def test_a_split_of_one_class_has_no_metric_over_thresholds_and_no_curves() -> None:
    model, split = two_classes()
    part = split.rows(split.y == 0)
    metrics = classification.evaluate(model, part)
    expected = [
        n for n in classification.METRICS if n not in ("auc", "average_precision")
    ]
    assert list(metrics) == expected
    assert "roc" not in classification.figures(model, part)


@pytest.mark.parametrize("positive", [0, 1])
def test_curves_are_those_of_the_positive_class(positive: int) -> None:
    model, split = two_classes(positive)
    drawn = classification.figures(model, split)
    metrics = classification.evaluate(model, split)
    (axes,) = drawn["roc"].axes
    chance, curve = (line.get_xydata() for line in axes.get_lines())
    assert chance.tolist() == [[0, 0], [1, 1]]
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(metrics["auc"])
    (axes,) = drawn["precision_recall"].axes
    recall, precision = axes.get_lines()[1].get_xydata().T
    area = -np.sum(np.diff(recall) * precision[:-1])
    assert area == pytest.approx(metrics["average_precision"])
    assert axes.get_xlabel() == f"recall of class {split.classes[positive]}"


def test_split_that_lacks_a_class_is_scored(split: Table) -> None:
    part = split.rows(split.y != 2)
    metrics = classification.evaluate(MODEL, part)
    proba = MODEL.predict_proba(part.X)
    expected = -np.log(proba[np.arange(len(part)), part.y]).mean()
    assert metrics["log_loss"] == pytest.approx(expected, rel=1e-12)
    assert all(np.isfinite(value) for value in metrics.values())


def test_every_metric_has_a_direction_and_is_a_float(split: Table) -> None:
    metrics = classification.evaluate(MODEL, split)
    expected = [n for n in classification.METRICS if n not in classification.PARTIAL]
    assert list(metrics) == expected
    assert {type(value) for value in metrics.values()} == {float}
    assert set(classification.METRICS.values()) <= {"min", "max"}


def test_figures_show_every_class_even_an_absent_one(split: Table) -> None:
    figures = classification.figures(MODEL, split.rows(split.y != 2))
    assert set(figures) == {"confusion", "scores_by_class", "calibration"}
    assert all(isinstance(figure, Figure) for figure in figures.values())
    axes = figures["confusion"].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_calibration_of_a_certain_model_is_in_the_last_bin() -> None:
    split = Table(np.ones((4, 1)), np.array([0, 0, 0, 1]), classes=("a", "b"))
    certain = Model(np.array([[1e3, 0.0], [0.0, 0.0]]))
    (axes,) = classification.figures(certain, split)["calibration"].axes
    _, line = axes.get_lines()
    assert line.get_xydata().tolist() == [[1.0, 0.75]]


def test_served_frame_has_the_class_and_every_probability(split: Table) -> None:
    frame = classification.example(split)
    assert list(frame.columns) == ["age", "size"]
    served = classification.serve(MODEL, frame)
    proba = MODEL.predict_proba(split.X[:3])
    expected = {f"probability_{j}": proba[:, j] for j in range(3)}
    expected = pd.DataFrame({"prediction": proba.argmax(axis=1), **expected})
    pd.testing.assert_frame_equal(served, expected, check_exact=True)


class Brightness:
    """Classes by the brightness of an image."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        bright = X.reshape(len(X), -1).mean(axis=1) / 255
        return np.column_stack([1 - bright, bright])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_images_are_scored_plotted_and_served_like_tables(
    shape: tuple[int, ...],
) -> None:
    X = np.repeat(np.array([10, 240, 30, 250], np.uint8), np.prod(shape))
    split = Images(X.reshape(4, *shape), np.array([0, 1, 0, 0]), ("dark", "light"))
    metrics = classification.evaluate(Brightness(), split)
    assert metrics["accuracy"] == 0.75
    drawn = classification.figures(Brightness(), split)
    expected = ["confusion", "scores_by_class", "calibration"]
    assert list(drawn) == [*expected, "roc", "precision_recall"]
    frame = classification.example(split)
    served = classification.serve(Brightness(), frame)
    assert served["prediction"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(
        served["probability_1"], Brightness().predict_proba(split.X[:3])[:, 1]
    )


def test_table_of_pixel_columns_reaches_the_model_as_rows() -> None:
    seen = []

    class Watching(Brightness):
        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            seen.append(X)
            return super().predict_proba(X)

    split = Table(np.ones((3, 2)), np.zeros(3, int), ("pixel_0_0", "pixel_0_1"))
    classification.serve(Watching(), classification.example(split))
    assert seen[0].shape == (3, 2)
    assert seen[0].dtype == np.float64


class Sure:
    """Gives every sample the first class, with these probabilities."""

    def __init__(self, *proba: float) -> None:
        self.proba = proba

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.tile(np.array(self.proba), (len(X), 1))


def test_losses_that_are_clipped_are_counted() -> None:
    split = Table(np.zeros((4, 1)), np.array([0, 1, 0, 0]), classes=("a", "b"))
    for small in (0.0, 1e-100):
        found = classification.evaluate(Sure(1.0, small), split)
        assert found["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 4)
        assert found["log_loss_clipped"] == 0.25
    assert classification.evaluate(Sure(0.9, 0.1), split)["log_loss_clipped"] == 0.0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_split_of_one_class_has_the_metrics_that_it_can_have(k: int) -> None:
    split = Table(np.zeros((3, 1)), np.zeros(3, int), classes=tuple("abc"[:k]))
    model = Sure(*np.full(k, 1 / k))
    found = classification.evaluate(model, split)
    assert found["accuracy"] == 1.0
    assert found["log_loss"] == pytest.approx(np.log(k), abs=1e-15)
    assert not {"auc", "average_precision"} & set(found)
    assert set(classification.figures(model, split)) == {
        "confusion",
        "scores_by_class",
        "calibration",
    }


def test_a_split_without_samples_is_refused(split: Table) -> None:
    with pytest.raises(ValueError, match="the split has no samples"):
        classification.evaluate(MODEL, split.rows(np.zeros(0, int)))
