"""PCA against scikit-learn, and the sum of what is dropped."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA

from ftml import Splits, Table, fit
from ftml.families.decomposition import pca

DIGITS = load_digits().data
WINE = load_wine().data


@pytest.mark.parametrize(
    "X",
    [DIGITS, WINE, DIGITS[:30], DIGITS[:64]],
    ids=["n > d", "wine", "n < d", "n = d"],
)
def test_variances_and_components_are_those_of_scikit_learn(X: np.ndarray) -> None:
    model = fit(pca.Config(n_components=10), Table(X)).model
    theirs = PCA(10, svd_solver="full").fit(X)
    n = len(X)
    # They divide by n - 1, we by n.
    np.testing.assert_allclose(
        model.variances, theirs.explained_variance_ * (n - 1) / n, rtol=1e-8
    )
    assert model.explained == pytest.approx(theirs.explained_variance_ratio_.sum())
    cosine = np.abs(np.sum(model.components * theirs.components_, axis=1))
    np.testing.assert_allclose(cosine, 1.0, atol=1e-8)
    np.testing.assert_allclose(
        model.reconstruct(X), theirs.inverse_transform(theirs.transform(X)), atol=1e-8
    )


@pytest.mark.parametrize("share", [0.5, 0.8627, 0.99])
def test_threshold_takes_as_many_components_as_scikit_learn(share: float) -> None:
    model = fit(pca.Config(variance=share), Table(DIGITS)).model
    theirs = PCA(share, svd_solver="full").fit(DIGITS)
    assert len(model.components) == theirs.n_components_


def test_reconstruction_error_is_the_sum_of_the_dropped_eigenvalues() -> None:
    values, _ = pca.eigen(WINE - WINE.mean(axis=0))
    for q in (1, 4, 13):
        step = fit(pca.Config(n_components=q), Table(WINE))
        lost = np.mean((WINE - step.model.reconstruct(WINE)) ** 2)
        expected = values[q:].sum() / 13
        assert lost == pytest.approx(expected, rel=1e-9, abs=1e-9)
        error = step.metrics["train_reconstruction_error"]
        assert error == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_components_are_orthonormal_and_signed() -> None:
    components = fit(pca.Config(n_components=5), Table(DIGITS)).model.components
    np.testing.assert_allclose(components @ components.T, np.eye(5), atol=1e-12)
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(5), largest] > 0).all()


def test_all_of_the_variance_is_reached_in_spite_of_rounding() -> None:
    model = fit(pca.Config(variance=1.0), Table(WINE)).model
    np.testing.assert_allclose(model.reconstruct(WINE), WINE, atol=1e-8)


def test_packs_share_a_decomposition() -> None:
    configs = [pca.Config(n_components=q) for q in (1, 3)] + [pca.Config()]
    (steps,) = pca.train_many(configs, Splits(Table(WINE)))
    assert [len(step.model.components) for step in steps] == [1, 3, 1]


def test_small_variances_beside_a_common_factor_of_any_scale() -> None:
    # Orthogonal columns U, V: X = U diag(s) V' has the variances s^2 / n exactly.
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.normal(size=(200, 6)) - rng.normal(size=6))[0]
    U = np.linalg.qr(U - U.mean(axis=0))[0]
    V = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for factor in (1e4, 1e8, 1e11):
        s = np.sqrt(200) * np.array([factor, 4.0, 3.0, 2.0, 1.0, 0.0])
        X = (U * s) @ V.T
        values, rows = pca.eigen(X - X.mean(axis=0))
        # A product of this size is rounded by eps factor.
        tolerance = 1e-15 * factor + 1e-12
        np.testing.assert_allclose(np.sqrt(values), s / np.sqrt(200), atol=tolerance)
        np.testing.assert_allclose(rows @ rows.T, np.eye(6), atol=1e-12)
        step = fit(pca.Config(n_components=3), Table(X))
        found = step.metrics["train_reconstruction_error"]
        assert found == pytest.approx(5.0 / 6, abs=10 * tolerance)


def test_odd_rows() -> None:
    one = fit(pca.Config(), Table(np.array([[3.0, 4.0]]))).model
    assert one.reconstruct(np.array([[3.0, 4.0]])).tolist() == [[3.0, 4.0]]
    same = fit(pca.Config(), Table(np.ones((5, 2))))
    assert same.metrics["train_explained_variance"] == 1.0
    with pytest.raises(
        ValueError, match="n_components is 3, the training data has only 2"
    ):
        fit(pca.Config(n_components=3), Table(np.ones((5, 2))))
    with pytest.raises(ValueError, match=r"x1 has values up to 1e\+160"):
        fit(pca.Config(), Table(np.array([[0.0, 1e160], [1.0, 0.0]])))
    with pytest.raises(ValueError, match="X must be finite"):
        one.transform(np.full((1, 2), np.nan))
