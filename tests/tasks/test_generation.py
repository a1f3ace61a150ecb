"""What the task generation scores, plots and serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ftml import Images, Splits, Table, fit
from ftml.core import family
from ftml.data.ring import ring
from ftml.families.neural import lenet
from ftml.tasks import generation
from ftml.tasks._samples import covered, frechet_distance, precision_recall
from tests.test_contract import small_data


@dataclass(frozen=True)
class Resampler:
    """Generates samples by resampling given rows."""

    rows: np.ndarray

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        return self.rows[np.random.default_rng(seed).integers(len(self.rows), size=n)]


def test_the_frechet_distance_is_its_formula_by_scipys_root() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(50, 4)), rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    S, T = np.cov(A.T, bias=True), np.cov(B.T, bias=True)
    mean = A.mean(axis=0) - B.mean(axis=0)
    expected = mean @ mean + np.trace(S + T - 2 * sqrtm(S @ T).real)
    assert frechet_distance(A, B) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(B, A) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(A, A) == pytest.approx(0.0, abs=1e-10)
    assert frechet_distance(A, A + np.array([3.0, 0, 0, 4.0])) == pytest.approx(25.0)


@pytest.mark.parametrize(("n", "m", "d"), [(6, 9, 12), (9, 6, 40), (1, 1, 3)])
def test_the_frechet_distance_of_more_features_than_samples_is_the_same(
    n: int, m: int, d: int
) -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(n, d)), 1.0 + rng.normal(size=(m, d))
    # Twenty-fold samples have the same moments, and more rows than columns.
    many = frechet_distance(np.tile(A, (40, 1)), np.tile(B, (40, 1)))
    assert frechet_distance(A, B) == pytest.approx(many, rel=1e-6)


def test_classes_are_covered_alike_where_squares_overflow() -> None:
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    X[y == 1] += 9.0
    large = 2.0**1000
    rows = Table(large * X, y, classes=("a", "b"))
    for generated in (X, X[y == 1]):
        found = covered(rows, large * generated)
        assert found == covered(Table(X, y, classes=("a", "b")), generated)


def test_a_squared_error_that_overflows_is_refused() -> None:
    rows = Table(1e300 * np.random.default_rng(0).normal(size=(6, 2)))
    model = fit(family("vae").Config(n_epochs=1, hidden=(4,)), rows).model
    with pytest.raises(ValueError, match="change the unit of the columns"):
        generation.evaluate(model, rows)


def test_large_images_without_a_feature_extractor_are_compared() -> None:
    X = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    images = Images(X, np.arange(3) % 2, ("a", "b"))
    scores = generation.evaluate(Resampler(X), images)
    assert np.isfinite(scores["frechet_distance"])
    # A covariance would have 150,528^2 values.
    assert len(generation.compared_rows(np.empty((5000, 224, 224, 3), "u1"))) == 891


@dataclass(frozen=True)
class WithLikelihood(Resampler):
    """Its log-likelihood of a row is the row's first value."""

    def log_likelihood(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0]

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        return np.zeros_like(X)


def test_scores_of_many_rows_are_of_all_or_of_a_random_sample_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generation, "MOST", 100)
    # Sorted rows: the first hundred are nothing like the others.
    X = np.linspace(0.0, 1.0, 1000)[:, None]
    scores = generation.evaluate(WithLikelihood(X), Table(X))
    assert scores["log_likelihood"] == pytest.approx(0.5)
    assert scores["reconstruction_error"] == pytest.approx(np.mean(X**2))
    assert scores["samples_compared"] == 100
    assert scores["recall"] > 0.8
    rows = generation.compared_rows(X)
    assert len(np.unique(rows)) == 100
    assert rows.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(rows, generation.compared_rows(X))
    (axes,) = generation.figures(WithLikelihood(X), Table(X))["samples"].axes
    assert axes.get_title() == "100 samples from the model"


def test_scores_of_few_rows_are_of_all_and_do_not_say_how_many() -> None:
    rows = ring(n_samples=20)
    assert "samples_compared" not in generation.evaluate(Resampler(rows.X), rows)


def test_precision_falls_for_samples_elsewhere_and_recall_for_missing_modes() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 30
    both = np.concatenate([one[:100], other[:100]])
    precision, recall = precision_recall(both, one[100:])
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.06)
    precision, recall = precision_recall(one[:100], both[50:150])
    assert precision == pytest.approx(0.5, abs=0.06)


def test_modes_of_a_table_are_counted_and_samples_between_belong_to_none() -> None:
    rows = ring(n_samples=800)
    half = rows.X[rows.y < 4]
    assert covered(rows, half) == 4
    assert covered(rows, rows.X) == 8
    assert covered(rows, 0.5 * rows.X) == 0


def test_the_distance_of_tables_sees_modes_that_mean_and_covariance_do_not() -> None:
    rows, again = ring(n_samples=1000), ring(n_samples=1000, seed=1)
    normal = np.random.default_rng(0).normal(size=(1000, 2)) * rows.X.std(axis=0)
    moments = frechet_distance(rows.X, normal)
    assert moments < 0.05
    same, other = (
        generation.evaluate(Resampler(generated), rows)["frechet_distance"]
        for generated in (again.X, normal)
    )
    assert other > 20 * same


def with_feature_extractor() -> Splits[Images]:
    """Return three splits of images with a feature extractor trained on the first."""
    data = small_data("generation")
    config = lenet.Config(n_epochs=20, learning_rate=0.01)
    extractor = fit(config, data.train).model
    return Splits(
        *(Images(p.X, p.y, p.classes, extractor) for p in vars(data).values())
    )


def test_images_are_compared_by_their_feature_extractor() -> None:
    data = with_feature_extractor()
    rows = data.train
    noise = np.random.default_rng(0).integers(0, 256, rows.X.shape, dtype=np.uint8)
    of_rows, of_noise = (
        generation.evaluate(Resampler(generated), rows) for generated in (rows.X, noise)
    )
    assert of_rows["frechet_distance"] < of_noise["frechet_distance"]
    assert of_rows["classes_covered"] == 3
    one = generation.evaluate(Resampler(rows.X[rows.y == 1]), rows)
    assert one["classes_covered"] == 1
    pixels = generation.evaluate(Resampler(noise), Images(rows.X, rows.y, rows.classes))
    assert pixels["frechet_distance"] != of_noise["frechet_distance"]
    assert "classes_covered" not in pixels


def test_samples_that_are_not_finite_are_called_diverged() -> None:
    rows = ring(n_samples=20)
    with pytest.raises(FloatingPointError, match=r"^diverged: the generated samples"):
        generation.evaluate(Resampler(np.full((5, 2), np.nan)), rows)


def test_a_served_model_generates_a_sample_for_each_seed() -> None:
    data = small_data("generation")
    model = Resampler(data.train.X)
    frame = generation.example(data.test)
    served = generation.serve(model, frame)
    assert list(served.columns[:2]) == ["pixel_0_0", "pixel_0_1"]
    expected = np.concatenate([model.sample(1, seed=s) for s in frame["seed"]])
    np.testing.assert_array_equal(served, expected.reshape(3, -1))


def test_features_are_plotted_with_the_data_and_images_as_pictures() -> None:
    rows = ring(n_samples=30)
    (axes,) = generation.figures(Resampler(rows.X), rows)["samples"].axes
    assert len(axes.collections) == 2
    data = small_data("generation")
    (axes,) = generation.figures(Resampler(data.train.X), data.test)["samples"].axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["data", *["generated"] * generation.LINES]
