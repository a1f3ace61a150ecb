"""What the task conditional_density scores, plots and serves."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from ftml.data import Table
from ftml.tasks import conditional_density


class Normal:
    """N(x_1, 2^2), whatever else x holds."""

    def log_density(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return norm.logpdf(y, X[:, 0], 2.0)

    def cdf(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return norm.cdf(y, X[:, 0], 2.0)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0]

    def variance(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), 4.0)


@pytest.fixture
def split() -> Table:
    X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    return Table(X, X[:, 0] + np.array([0.0, 2.0, -2.0, 8.0]), ("age", "size"))


def test_metrics_by_hand(split: Table) -> None:
    squares = (0 + 4 + 4 + 64) / 4
    assert conditional_density.evaluate(Normal(), split) == {
        "nll": pytest.approx(0.5 * np.log(2 * np.pi * 4) + squares / 8),
        "mse": pytest.approx(squares),
        "coverage_90": 0.75,  # 8 is four deviations away
    }


def test_right_density_covers_ninety_percent() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 1))
    split = Table(X, X[:, 0] + 2 * rng.normal(size=20_000))
    covered = conditional_density.evaluate(Normal(), split)["coverage_90"]
    assert abs(covered - 0.9) < 5 * np.sqrt(0.9 * 0.1 / 20_000)


def test_served_rows_are_the_mean_and_its_standard_deviation(split: Table) -> None:
    frame = conditional_density.example(split)
    assert list(frame.columns) == ["age", "size"]
    served = conditional_density.serve(Normal(), frame)
    assert served["prediction"].tolist() == [0, 1, 2]
    assert served["standard_deviation"].tolist() == [2, 2, 2]


def test_figure_shows_where_the_targets_fall(split: Table) -> None:
    drawn = conditional_density.figures(Normal(), split)
    assert isinstance(drawn["calibration"], Figure)
    (axes,) = drawn["calibration"].axes
    heights = [patch.get_height() for patch in axes.patches]
    # Levels .5, .84, .16 and 1: a quarter each of the mass, in bins of .05.
    assert sorted(heights)[-4:] == pytest.approx([5, 5, 5, 5])
