"""What the tasks density and binary density score, plot and serve."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ftml.data import Table
from ftml.families.density import rbm
from ftml.families.density._mixture import Model
from ftml.tasks import binary_density, density

GAUSSIAN = Model(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
ROWS = np.random.default_rng(0).normal(size=(40, 2))


@dataclass(frozen=True)
class Unnormalised:
    """A density whose normaliser is estimated, and that cannot generate samples."""

    log_z_error: float = 0.1
    log_mass: float = -0.2

    def log_density(self, X: np.ndarray) -> np.ndarray:
        return -0.5 * np.sum(X**2, axis=1)


def test_metric_is_the_mean_log_density_in_nats() -> None:
    expected = multivariate_normal(np.zeros(2)).logpdf(ROWS).mean()
    found = density.evaluate(GAUSSIAN, Table(ROWS))
    assert found == pytest.approx({"log_likelihood": expected})


def test_a_split_without_samples_has_no_score() -> None:
    with pytest.raises(ValueError, match="the split has no samples"):
        density.evaluate(GAUSSIAN, Table(ROWS[:0]))


def test_the_scores_of_a_normaliser_are_reported_too() -> None:
    found = density.evaluate(Unnormalised(), Table(ROWS))
    assert found["log_z_error"] == 0.1
    assert found["log_mass"] == -0.2


def test_figures_are_those_that_the_model_and_the_columns_allow() -> None:
    flat, deep = Table(ROWS), Table(np.hstack([ROWS, ROWS[::-1]]))
    four = Model(np.ones(1), np.zeros((1, 4)), np.eye(4)[None])
    everything = {"log_densities", "contour", "samples"}
    assert set(density.figures(GAUSSIAN, flat)) == everything
    assert set(density.figures(four, deep)) == {"log_densities", "samples"}
    assert set(density.figures(Unnormalised(), deep)) == {"log_densities"}
    one = Model(np.ones(1), np.zeros((1, 1)), np.eye(1)[None])
    assert "samples" in density.figures(one, Table(ROWS[:, :1]))


def test_sorted_log_densities_end_at_their_extremes() -> None:
    figure = density.figures(GAUSSIAN, Table(ROWS))["log_densities"]
    line = figure.axes[0].get_lines()[0]
    values = GAUSSIAN.log_density(ROWS)
    assert line.get_xdata()[[0, -1]].tolist() == [values.min(), values.max()]


@pytest.mark.parametrize("task", [density, binary_density])
def test_figures_generate_a_limited_number_of_samples_and_say_it(
    task: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(density, "MOST", 4)
    model, rows = (GAUSSIAN, ROWS) if task is density else (COIN, FLIPS)
    (axes,) = task.figures(model, Table(rows))["log_densities"].axes
    data, generated = axes.get_lines()
    assert (len(data.get_xdata()), len(generated.get_xdata())) == (len(rows), 4)
    assert generated.get_label() == "4 from the model"


def test_served_frame_has_the_log_density() -> None:
    served = density.serve(GAUSSIAN, density.example(Table(ROWS)))
    np.testing.assert_allclose(served["log_density"], GAUSSIAN.log_density(ROWS[:3]))


COIN = rbm.Model(np.zeros((16, 1)), np.zeros(16), np.zeros(1), np.zeros(16))
FLIPS = (np.random.default_rng(0).random((6, 16)) < 0.5).astype(float)


def test_fair_coins_have_log_two_a_column() -> None:
    found = binary_density.evaluate(COIN, Table(FLIPS))
    expected = {"log_likelihood": -16 * np.log(2), "log_z_error": 0.0}
    assert found == pytest.approx(expected)


def test_values_other_than_zero_and_one_are_refused() -> None:
    with pytest.raises(ValueError, match="expected rows of 0 and 1, got 2"):
        binary_density.evaluate(COIN, Table(2.0 * FLIPS))


def test_binary_rows_are_plotted_as_pictures_and_served() -> None:
    split = Table(FLIPS)
    assert set(binary_density.figures(COIN, split)) == {"log_densities", "samples"}
    served = binary_density.serve(COIN, binary_density.example(split))
    np.testing.assert_allclose(served["log_probability"], -16 * np.log(2))
