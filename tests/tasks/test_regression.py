"""What the task regression scores, plots and serves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from ftml.core import family, fit
from ftml.data import Table
from ftml.families.linear.ridge import Model
from ftml.tasks import regression, task, tasks


@pytest.fixture
def split() -> Table:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = X @ [1.0, -1.0] + rng.normal(size=20)
    return Table(X, y, feature_names=("age", "size"), target_name="price")


MODEL = Model(np.array([1.0, -1.0, 0.5]))


def test_tasks_are_the_modules_of_the_folder() -> None:
    assert {"regression", "classification"} <= set(tasks())
    assert task("regression") is regression
    with pytest.raises(
        ValueError, match="unknown task 'regresion'; nearest: regression"
    ):
        task("regresion")


def test_metrics_equal_those_of_scikit_learn(split: Table) -> None:
    predicted = MODEL.predict(split.X)
    assert regression.evaluate(MODEL, split) == {
        "mse": mean_squared_error(split.y, predicted),
        "mae": mean_absolute_error(split.y, predicted),
        "r2": r2_score(split.y, predicted),
        "rss": pytest.approx(20 * mean_squared_error(split.y, predicted), rel=1e-14),
        "tss": pytest.approx(20 * split.y.var(), rel=1e-14),
        "ess": pytest.approx(((predicted - split.y.mean()) ** 2).sum(), rel=1e-14),
    }


def test_sums_of_squares_add_up_for_least_squares_on_its_training_data(
    split: Table,
) -> None:
    best = fit(family("ols").Config(), split).model
    scores = regression.evaluate(best, split)
    assert scores["tss"] == pytest.approx(scores["ess"] + scores["rss"], rel=1e-12)
    scores = regression.evaluate(MODEL, split)
    assert scores["tss"] != pytest.approx(scores["ess"] + scores["rss"], rel=1e-3)


def test_metrics_by_hand() -> None:
    # Predictions 0.5 + (1, 2, 3) of 1, 2, 6: errors 0.5, 0.5, -2.5; the sum of squares
    # about the mean 3 is 14.
    split = Table(
        np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]), np.array([1.0, 2.0, 6.0])
    )
    sums = {"rss": 6.75, "tss": 14.0, "ess": 1.5**2 + 0.5**2 + 0.5**2}
    expected = {"mse": 6.75 / 3, "mae": 3.5 / 3, "r2": 1 - 6.75 / 14, **sums}
    assert regression.evaluate(MODEL, split) == pytest.approx(expected, rel=1e-14)


def test_every_metric_has_a_direction_and_is_a_float(split: Table) -> None:
    metrics = regression.evaluate(MODEL, split)
    assert set(metrics) == {*regression.METRICS, "tss", "ess"}
    assert {type(value) for value in metrics.values()} == {float}
    assert set(regression.METRICS.values()) <= {"min", "max"}


def test_figures_name_the_target(split: Table) -> None:
    figures = regression.figures(MODEL, split)
    assert set(figures) == {"predicted_against_true", "residuals"}
    assert all(isinstance(figure, Figure) for figure in figures.values())
    (axes,) = figures["predicted_against_true"].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true price", "predicted price")


def test_served_frame_has_a_prediction_for_each_row(split: Table) -> None:
    frame = regression.example(split)
    assert list(frame.columns) == ["age", "size"]
    served = regression.serve(MODEL, frame)
    expected = pd.DataFrame({"prediction": MODEL.predict(split.X[:3])})
    pd.testing.assert_frame_equal(served, expected, check_exact=True)


def test_frame_of_whole_numbers_is_served(split: Table) -> None:
    frame = pd.DataFrame({"age": [1, 2], "size": [0, 1]})
    assert regression.serve(MODEL, frame)["prediction"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("rows", [1, 10, 1000])
@pytest.mark.parametrize(("error", "r2"), [(0.0, 1.0), (1e-17, 0.0), (0.5, 0.0)])
def test_r2_of_a_constant_target_is_one_or_zero(
    rows: int, error: float, r2: float
) -> None:
    """The mean of 0.1 is not 0.1 for all numbers of rows, because of rounding."""

    class Fixed:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0]

    y = np.full(rows, 0.1)
    X = (y - error if error > 1e-16 else np.nextafter(y, 1.0 if error else 0.1))[
        :, None
    ]
    scores = regression.evaluate(Fixed(), Table(X, y))
    assert (scores["r2"], scores["tss"]) == (r2, 0.0)


def test_a_split_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="the split has no samples"):
        regression.evaluate(MODEL, Table(np.zeros((0, 2)), np.zeros(0)))
