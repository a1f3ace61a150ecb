"""What the task representation scores, plots and serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.decomposition import PCA

from ftml import Table
from ftml.tasks import representation
from ftml.tasks.representation import probe_accuracy


@dataclass(frozen=True)
class Columns:
    """A code that is some of the columns; the others are rebuilt as 0."""

    kept: tuple[int, ...]
    noise: float = 0.0

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X[:, list(self.kept)]

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        rebuilt = np.zeros(X.shape)
        rebuilt[:, list(self.kept)] = self.transform(X)
        return rebuilt

    def denoise(self, X: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        added = self.noise * np.random.default_rng(seed).normal(size=X.shape)
        return X + added, X + 0.5 * added


def split() -> Table:
    """Return rows whose class depends on the first two columns only."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = 20 * rng.normal(size=(120, 10))
    X[:, :2] = np.eye(3, 2)[y] + 0.1 * rng.normal(size=(120, 2))
    return Table(X, y, classes=("a", "b", "c"))


def test_a_code_of_the_informative_columns_beats_samples_and_components() -> None:
    found = representation.evaluate(Columns((0, 1)), split())
    assert found["probe_accuracy"] > 0.95
    assert found["pixel_probe_accuracy"] < 0.7
    assert found["pca_probe_accuracy"] < 0.7
    rest = split().X[:, 2:]
    assert found["reconstruction_error"] == pytest.approx(np.mean(rest**2) * 0.8)
    assert "noise_removed" not in found


def test_the_probe_is_not_tested_on_its_training_samples() -> None:
    """Codes that name each row: whatever is learnt by heart says nothing of others."""
    y = np.arange(60) % 2
    codes = np.eye(60)
    assert probe_accuracy(codes, y) < 0.7


def test_noise_that_is_halved_loses_three_quarters_of_its_square() -> None:
    found = representation.evaluate(Columns((0,), noise=2.0), split())
    assert found["noise_removed"] == pytest.approx(0.75)


def test_the_curve_of_labels_rises_for_a_good_code() -> None:
    data = split()
    drawn = representation.figures(Columns((0, 1)), data)
    assert set(drawn) == {"probe", "codes", "reconstructions"}
    code, row, components = (
        line.get_ydata() for line in drawn["probe"].axes[0].get_lines()
    )
    assert len(code) == len(row) == len(components) == 5
    assert (code > row).all()


def test_rows_without_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="a probe needs rows of two classes or more"):
        representation.evaluate(Columns((0,)), Table(np.eye(4)))


def test_codes_that_are_not_finite_are_called_diverged() -> None:
    class Diverged(Columns):
        def transform(self, X: np.ndarray) -> np.ndarray:
            return np.full((len(X), 1), np.nan)

    with pytest.raises(FloatingPointError, match=r"^diverged: codes are not finite"):
        representation.evaluate(Diverged((0,)), split())


def test_served_frame_has_the_code_of_each_row() -> None:
    frame = representation.example(split())
    served = representation.serve(Columns((1, 0)), frame)
    assert list(served.columns) == ["code_0", "code_1"]
    np.testing.assert_array_equal(served, split().X[:3, [1, 0]])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "the split has no samples"),
        ([1, 1, 1], r"two rows of one of them, got b \(3\)"),
        ([0, 1, 2], r"got a \(1\), b \(1\), c \(1\)"),
    ],
)
def test_a_split_without_classes_to_probe_is_refused(y: list, message: str) -> None:
    part = Table(np.ones((len(y), 2)), np.array(y, int), classes=("a", "b", "c"))
    with pytest.raises(ValueError, match=message):
        representation.evaluate(Columns((0,)), part)


@pytest.mark.parametrize("scale", [1e-170, 1e-13, 1.0, 1e13])
def test_the_probe_does_not_depend_on_the_scale_of_the_codes(scale: float) -> None:
    data = split()
    expected = probe_accuracy(data.X[:, :2], data.y)
    assert probe_accuracy(data.X[:, :2] * scale, data.y) == pytest.approx(expected)
    constant = np.full((120, 2), 0.1 * scale)  # rounding must not become a code
    assert probe_accuracy(constant, data.y) <= 0.4


def test_of_a_large_split_some_of_each_class_are_probed() -> None:
    y = np.where(np.arange(50_000) < 3, 0, 1 + np.arange(50_000) % 2)
    data = Table(y[:, None].astype(float), y, classes=("rare", "b", "c"))
    some = representation.sampled(data)
    assert np.bincount(some.y).tolist() == [2, 1000, 1000]
    np.testing.assert_array_equal(some.X, representation.sampled(data).X)
    assert representation.sampled(some.rows(np.arange(2000))) is not data


@pytest.mark.parametrize(("n", "d"), [(30, 5), (5, 30), (7, 7)])
def test_components_are_those_of_scikit_learn(n: int, d: int) -> None:
    rows = np.random.default_rng(0).normal(size=(n, d)) + 3.0
    found = representation.components(rows, 3)
    expected = PCA(3).fit_transform(rows)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-10)
    assert representation.components(rows, 50).shape == (n, min(n, d))


def test_one_labelled_row_of_each_of_many_classes_gives_no_warning() -> None:
    y = np.arange(90) % 30
    assert probe_accuracy(np.eye(30)[y], y, labels=1) == 1.0
