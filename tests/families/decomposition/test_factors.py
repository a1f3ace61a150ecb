"""Probabilistic PCA and factor analysis: densities, maxima and odd data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis

from ftml import Splits, Table, fit
from ftml.families.decomposition import factor_analysis, pca, ppca
from ftml.families.decomposition._factors import Model

WINE = load_wine().data
S = np.cov(WINE.T, bias=True)
RNG = np.random.default_rng(0)
FACTORS = RNG.normal(size=(61, 3)) @ RNG.normal(size=(3, 20)) + RNG.normal(size=20)
FACTORS += RNG.normal(size=FACTORS.shape)


@pytest.mark.parametrize("family", [ppca, factor_analysis])
def test_density_is_that_of_the_whole_covariance(family: Any) -> None:
    model = fit(family.Config(n_components=3), Table(WINE)).model
    law = multivariate_normal(model.mean, model.covariance)
    np.testing.assert_allclose(model.log_density(WINE), law.logpdf(WINE), atol=1e-8)


@pytest.mark.parametrize("family", [ppca, factor_analysis])
def test_transform_is_the_posterior_mean(family: Any) -> None:
    model = fit(family.Config(n_components=3), Table(WINE)).model
    expected = (WINE - model.mean) @ np.linalg.solve(model.covariance, model.loadings)
    np.testing.assert_allclose(model.transform(WINE), expected, atol=1e-9)
    np.testing.assert_allclose(
        model.reconstruct(WINE), model.mean + expected @ model.loadings.T, atol=1e-7
    )


def test_ppca_spans_the_plane_of_pca() -> None:
    W = fit(ppca.Config(n_components=3), Table(WINE)).model.loadings
    V = fit(pca.Config(n_components=3), Table(WINE)).model.components.T
    assert subspace_angles(W, V).max() < 1e-7


def test_ppca_likelihood_on_scaled_wine() -> None:
    # -15.70179 with S divided by n; scikit-learn divides by n - 1: -15.70189.
    X = WINE / WINE.std(axis=0)
    step = fit(ppca.Config(n_components=3), Table(X))
    found = step.metrics["train_log_likelihood"]
    assert found == pytest.approx(-15.70179, abs=1e-5)
    theirs = PCA(3).fit(X).score(X)
    assert theirs == pytest.approx(-15.70189, abs=1e-5)
    assert found > theirs


@pytest.mark.parametrize("X", [WINE, WINE[:41, :5]], ids=["wine", "smaller"])
def test_ppca_likelihood_is_that_of_scikit_learn_given_its_covariance(
    X: np.ndarray,
) -> None:
    theirs = PCA(3, svd_solver="full").fit(X)
    n = len(X)
    ours = fit(ppca.Config(n_components=3), Table(X)).model
    scaled = Model(
        ours.mean,
        ours.loadings * np.sqrt(n / (n - 1)),
        ours.noise * n / (n - 1),
    )
    assert scaled.log_density(X).mean() == pytest.approx(theirs.score(X), abs=1e-6)


@pytest.mark.parametrize("X", [WINE, WINE[:9]], ids=["wine", "n < d"])
def test_ppca_covariance_is_that_of_the_rows_with_its_smallest_values_equal(
    X: np.ndarray,
) -> None:
    """For n < d scikit-learn takes the mean over n - q values, and is no maximum."""
    values, V = np.linalg.eigh(np.cov(X.T, bias=True))
    values[:-3] = values[:-3].mean()
    model = fit(ppca.Config(n_components=3), Table(X)).model
    np.testing.assert_allclose(model.covariance, (V * values) @ V.T, atol=1e-8)


def test_ppca_satisfies_its_eigenvalue_equation() -> None:
    model = fit(ppca.Config(n_components=3), Table(WINE)).model
    values, _ = pca.eigen(WINE - WINE.mean(axis=0))
    # S W = W diag(v): the factors in this order, not diag(v) W.
    np.testing.assert_allclose(
        S @ model.loadings, model.loadings * values[:3], rtol=1e-6, atol=1e-6
    )
    assert model.noise[0] == pytest.approx(values[3:].mean())


@pytest.mark.parametrize(("X", "q"), [(WINE, 1), (WINE, 2), (FACTORS, 3)])
def test_factor_analysis_reaches_the_likelihood_of_scikit_learn(
    X: np.ndarray, q: int
) -> None:
    X = X / X.std(axis=0)
    config = factor_analysis.Config(
        n_components=q, tolerance=1e-12, n_iterations=20_000
    )
    step = fit(config, Table(X))
    theirs = FactorAnalysis(q, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(X)
    found = step.metrics["train_log_likelihood"]
    assert found == pytest.approx(theirs.score(X), abs=1e-6)
    assert step.model.log_density(X).mean() == pytest.approx(found, abs=1e-9)


def test_factor_analysis_of_digits_is_that_of_scikit_learn() -> None:
    X = load_digits().data / 16
    X = X[:, X.std(axis=0) > 0]
    step = fit(factor_analysis.Config(n_components=10, tolerance=1e-9), Table(X))
    theirs = FactorAnalysis(10, tol=1e-8, max_iter=5000, svd_method="lapack").fit(X)
    found = step.metrics["train_log_likelihood"]
    assert found == pytest.approx(theirs.score(X), abs=1e-6)
    assert found == pytest.approx(45.97, abs=5e-3)


def test_factor_analysis_rises_to_a_stationary_point() -> None:
    config = factor_analysis.Config(n_components=2, tolerance=1e-13, n_iterations=5000)
    steps = list(factor_analysis.train(config, Splits(Table(WINE))))
    values = [step.metrics["train_log_likelihood"] for step in steps]
    assert np.diff(values).min() > -1e-10
    model = steps[-1].model
    A = model.covariance
    # S A^-1 W = W, and the diagonal of A is that of S.
    np.testing.assert_allclose(
        S @ np.linalg.solve(A, model.loadings),
        model.loadings,
        atol=1e-3 * np.abs(model.loadings).max(),
    )
    np.testing.assert_allclose(np.diag(A), np.diag(S), rtol=1e-4)


def test_factor_analysis_of_rescaled_columns_is_the_same_but_for_the_scale() -> None:
    scale = np.logspace(-3, 3, 13)
    one, other = (
        fit(factor_analysis.Config(n_components=2), Table(X)).metrics
        for X in (WINE, WINE * scale)
    )
    shift = np.log(scale).sum()
    name = "train_log_likelihood"
    assert other[name] == pytest.approx(one[name] - shift, abs=1e-6)


@pytest.mark.parametrize("family", [ppca, factor_analysis])
def test_samples_have_the_covariance_of_the_model(family: Any) -> None:
    X = WINE / WINE.std(axis=0)
    model = fit(family.Config(n_components=3), Table(X)).model
    drawn = model.sample(20_000, seed=0)
    np.testing.assert_allclose(np.cov(drawn.T), model.covariance, atol=0.05)


@pytest.mark.parametrize("factor", [1e4, 1e8])
def test_noise_beside_a_large_factor_is_found(factor: float) -> None:
    rng = np.random.default_rng(0)
    common = factor * rng.normal(size=(500, 1)) @ np.ones((1, 5))
    X = common + rng.normal(size=(500, 5))
    model = fit(ppca.Config(n_components=1), Table(X)).model
    assert model.noise[0] == pytest.approx(1.0, rel=0.1)


def test_odd_rows_have_a_defined_answer_or_a_clear_error() -> None:
    flat = np.column_stack([np.arange(12.0) % 5, np.full(12, 5.0), np.arange(12.0)])
    for rows in (flat, flat[:1], np.repeat(flat[:2], 3, axis=0)):
        model = fit(factor_analysis.Config(n_components=2), Table(rows)).model
        assert np.isfinite(model.log_density(rows)).all()
    for family in (ppca, factor_analysis):
        with pytest.raises(ValueError, match=r"x0 has values up to 4e\+160, and"):
            fit(family.Config(), Table(flat * [1e160, 1.0, 1.0]))
        with pytest.raises(ValueError, match="expected fewer than the 3 columns"):
            fit(family.Config(n_components=3), Table(flat))
    model = fit(ppca.Config(n_components=1), Table(flat)).model
    with pytest.raises(ValueError, match="X must be finite"):
        model.log_density(np.full((1, 3), np.nan))


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.repeat(np.eye(3), 5, axis=0), "has 3 different rows, .* 4 different rows"),
        (np.ones((9, 3)), "has 1 different rows"),
        (WINE[:, :2] @ np.array([[1, 0, 2], [0, 1, 1]]), "2 components leave .*e-"),
        (WINE[:, :3] * [1.0, 1.0, 1e-15], "scale the columns to one variance"),
    ],
    ids=["repeated rows", "one point", "dependent columns", "a small unit"],
)
def test_rows_without_noise_are_refused_with_the_reason(
    X: np.ndarray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fit(ppca.Config(n_components=2), Table(X))
