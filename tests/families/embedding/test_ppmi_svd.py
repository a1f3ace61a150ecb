"""PPMI and its decomposition against dense numpy."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.data import Cooccurrence, Splits
from ftml.families.embedding._matrix import symmetric
from ftml.families.embedding.ppmi_svd import Config, ppmi, train

V = 60


def pairs_of(V: int) -> Cooccurrence:
    """Two thirds of the pairs of V words, of three subjects that attract."""
    rng = np.random.default_rng(0)
    row, col = np.triu_indices(V)
    kept = rng.random(len(row)) < 0.66
    row, col = row[kept].astype(np.int32), col[kept].astype(np.int32)
    weight = rng.integers(1, 30, len(row)) * np.where(row % 3 == col % 3, 4.0, 1.0)
    words = tuple(f"w{n:02d}" for n in range(V))
    return Cooccurrence(words, np.full(V, 9), row, col, weight)


@pytest.fixture
def data() -> Cooccurrence:
    return pairs_of(V)


def dense(data: Cooccurrence, *, smoothing: float, shift: float) -> np.ndarray:
    """Return M by its formula."""
    C = np.zeros((len(data.words), len(data.words)))
    np.add.at(C, (data.row, data.col), data.weight)
    np.add.at(C, (data.col, data.row), data.weight)
    word, neighbour = C.sum(axis=1), C.sum(axis=0) ** smoothing
    with np.errstate(divide="ignore"):
        pmi = np.log(C * neighbour.sum() / np.outer(word, neighbour)) - np.log(shift)
    return np.maximum(pmi, 0.0)


def test_rows_are_those_of_the_symmetric_matrix(data):
    C = symmetric(data)
    expected = np.zeros((V, V))
    np.add.at(expected, (data.row, data.col), data.weight)
    np.add.at(expected, (data.col, data.row), data.weight)
    found = np.zeros((V, V))
    found[C.row(), C.col] = C.value
    assert np.array_equal(found, expected)
    assert all(
        (np.diff(C.col[a:b]) > 0).all()
        for a, b in zip(C.start, C.start[1:], strict=False)
    )
    np.testing.assert_allclose(C.sums(), expected.sum(axis=1))


@pytest.mark.parametrize(("smoothing", "shift"), [(1.0, 1.0), (0.75, 2.0)])
def test_the_matrix_and_its_transpose_are_the_formula(data, smoothing, shift):
    expected = dense(data, smoothing=smoothing, shift=shift)
    M, M_T = ppmi(symmetric(data), smoothing=smoothing, shift=shift)
    for rows, matrix in ((M, expected), (M_T, expected.T)):
        found = np.zeros((V, V))
        found[rows.row(), rows.col] = rows.value
        np.testing.assert_allclose(found, matrix, atol=1e-6)  # float32 below ten
        assert (rows.value > 0).all()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("words", "d"), [(V, 10), (11, 9)])
def test_vectors_are_those_of_numpys_decomposition(words, d, exponent):
    data = pairs_of(words)
    config = Config(dimension=d, exponent=exponent, power_iterations=12)
    (step,) = train(config, Splits(train=data))
    M = dense(data, smoothing=0.75, shift=1.0)
    U, S, R_T = np.linalg.svd(M)
    np.testing.assert_allclose(step.model.spectrum, S[:d], rtol=1e-5)
    # Columns have a sign of their own: products with their own transpose have none.
    X = U[:, :d] * S[:d] ** exponent
    np.testing.assert_allclose(step.model.X @ step.model.X.T, X @ X.T, atol=1e-3)
    best = U[:, :d] * S[:d] @ R_T[:d]
    np.testing.assert_allclose(step.model.X @ step.model.Z.T, best, atol=1e-3)
    explained = np.sum(S[:d] ** 2) / np.sum(S**2)
    assert step.metrics["train_explained"] == pytest.approx(explained, rel=1e-5)
    i, j = np.array([3, 9]), np.array([4, 0])
    np.testing.assert_allclose(step.model.pair_score(i, j), best[i, j], atol=1e-3)


def test_the_number_of_threads_changes_nothing(data):
    one, three = (
        next(train(Config(dimension=8, threads=n), Splits(train=data))).model
        for n in (1, 3)
    )
    assert np.array_equal(one.X, three.X)
    assert np.array_equal(one.Z, three.Z)


def test_more_dimensions_than_words_are_zero(data):
    (step,) = train(Config(dimension=V + 4), Splits(train=data))
    assert step.model.X.shape == (V, V + 4)
    assert not step.model.X[:, V:].any()
    assert step.metrics["train_explained"] == pytest.approx(1.0, rel=1e-5)


def test_a_shift_that_leaves_nothing_is_an_error(data):
    with pytest.raises(
        ValueError, match=r"no pair has more PMI than log shift, shift 1e"
    ):
        list(train(Config(shift=1e9), Splits(train=data)))


def test_training_that_has_ended_yields_nothing_more(data):
    (step,) = train(Config(dimension=4), Splits(train=data))
    assert list(train(Config(dimension=4), Splits(train=data), step.state)) == []
