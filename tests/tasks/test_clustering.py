"""What the task clustering scores, plots and serves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from ftml.data import Table
from ftml.families.clustering.kmeans import Model
from ftml.tasks import clustering


@pytest.fixture
def split() -> Table:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    X = rng.normal(size=(30, 2)) + 4.0 * np.eye(3, 2)[y]
    return Table(X, y, feature_names=("age", "size"), classes=("a", "b", "c"))


MODEL = Model(4.0 * np.eye(3, 2))


def test_metrics_equal_those_of_scikit_learn(split: Table) -> None:
    labels = MODEL.predict(split.X)
    distance = np.linalg.norm(split.X - MODEL.centers[labels], axis=1)
    assert clustering.evaluate(MODEL, split) == pytest.approx(
        {
            "silhouette": silhouette_score(split.X, labels),
            "inertia": np.mean(distance**2),
            "adjusted_rand": adjusted_rand_score(split.y, labels),
        }
    )


def test_rows_without_classes_have_no_rand_index(split: Table) -> None:
    metrics = clustering.evaluate(MODEL, Table(split.X))
    assert set(metrics) == set(clustering.METRICS)


def test_one_cluster_and_clusters_of_one_row_have_silhouette_zero() -> None:
    X = np.array([[0.0], [1.0], [5.0]])
    assert clustering.silhouette(X, np.zeros(3, int)) == 0.0
    assert clustering.silhouette(X, np.arange(3)) == 0.0


@pytest.mark.parametrize(("shift", "scale"), [(1.7e9, 1.0), (0.0, 1e-170)])
def test_silhouette_does_not_depend_on_offset_or_unit(
    shift: float, scale: float
) -> None:
    labels = np.arange(40) % 2
    X = np.random.default_rng(0).normal(size=(40, 2)) + 10.0 * labels[:, None]
    found = clustering.silhouette(scale * X + shift, labels)
    assert found == pytest.approx(silhouette_score(X, labels), abs=1e-6)


def test_silhouette_of_many_rows_is_of_the_same_thousand() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 2
    X = rng.normal(size=(3000, 2)) + 3.0 * labels[:, None]
    found = clustering.silhouette(X, labels)
    assert found == clustering.silhouette(X, labels)
    # Standard error over samples of 1,000 rows about .01.
    assert found == pytest.approx(silhouette_score(X, labels), abs=0.03)


def test_figures_show_every_cluster_and_pictures_only_of_squares(split: Table) -> None:
    figures = clustering.figures(MODEL, split)
    assert set(figures) == {"clusters", "sizes"}
    heights = [bar.get_height() for bar in figures["sizes"].axes[0].patches]
    assert sum(heights) == len(split)
    rng = np.random.default_rng(0)
    square = Table(rng.random((9, 16)))
    assert "centers" in clustering.figures(Model(square.X[:3]), square)


def test_served_frame_has_cluster_and_distance(split: Table) -> None:
    served = clustering.serve(MODEL, clustering.example(split))
    labels = MODEL.predict(split.X[:3])
    distance = np.linalg.norm(split.X[:3] - MODEL.centers[labels], axis=1)
    expected = pd.DataFrame({"cluster": labels, "distance": distance})
    pd.testing.assert_frame_equal(served, expected)
