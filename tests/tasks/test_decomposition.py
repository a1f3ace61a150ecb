"""What the task decomposition scores, plots and serves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from ftml.data import Table
from ftml.families.decomposition.pca import Model
from ftml.tasks import decomposition

AXIS = Model(np.zeros(2), np.array([[1.0, 0.0]]), np.array([1.0]), 1.0)


def test_metrics_by_hand() -> None:
    # The second column is lost: 4 + 4 + 0 over six values; the variance is that and 2.
    split = Table(np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]]))
    assert decomposition.evaluate(AXIS, split) == pytest.approx(
        {"reconstruction_error": 8 / 6, "explained_variance": 1 - 8 / 10}
    )


def test_explained_variance_is_the_r2_of_all_columns_together() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2)) @ np.diag([3.0, 0.5])
    found = decomposition.evaluate(AXIS, Table(X))["explained_variance"]
    rebuilt = AXIS.reconstruct(X)
    weights = X.var(axis=0)
    expected = r2_score(X, rebuilt, multioutput=weights / weights.sum())
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_rows_that_do_not_vary(value: float, expected: float) -> None:
    split = Table(np.column_stack([np.ones(3), np.full(3, value)]))
    found = decomposition.evaluate(AXIS, split)["explained_variance"]
    assert found == expected


def test_scree_of_principal_components_is_their_share_of_the_variance() -> None:
    X = np.random.default_rng(0).normal(size=(50, 2)) @ np.diag([3.0, 1.0])
    whole = Model(np.zeros(2), np.eye(2), np.ones(2), 1.0)
    figures = decomposition.figures(whole, Table(X))
    (line,) = figures["scree"].axes[0].get_lines()
    shares = np.sort(X.var(axis=0) / X.var(axis=0).sum())[::-1]
    np.testing.assert_allclose(line.get_ydata(), shares)


def test_square_rows_are_plotted_as_pictures() -> None:
    rng = np.random.default_rng(0)
    square = Table(rng.random((5, 16)))
    model = Model(np.zeros(16), np.eye(2, 16), np.ones(2), 1.0)
    figures = decomposition.figures(model, square)
    for name, (lines, columns) in (("reconstructions", (2, 5)), ("components", (1, 2))):
        (image,) = figures[name].axes[0].get_images()
        # 4 x 4 pixels each, and one between.
        assert image.get_array().shape == (5 * lines - 1, 5 * columns - 1)


def test_served_frame_has_the_coordinates() -> None:
    split = Table(np.arange(10.0).reshape(5, 2))
    served = decomposition.serve(AXIS, decomposition.example(split))
    assert served["component_0"].tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("rows", [3, 10, 1000])
def test_rows_that_do_not_vary_have_no_variance_whatever_their_mean_rounds_to(
    rows: int,
) -> None:
    split = Table(np.full((rows, 2), 0.1))
    assert decomposition.evaluate(AXIS, split)["explained_variance"] == 0.0
    (line,) = decomposition.figures(AXIS, split)["scree"].axes[0].get_lines()
    assert line.get_ydata().tolist() == [0.0]
