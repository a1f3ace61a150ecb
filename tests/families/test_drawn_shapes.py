"""Families whose fit is cheap against their oracles, at shapes that hypothesis draws:
one row, one column, more columns than rows, and any other.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeClassifier

from ftml import Table, fit
from ftml.families.decomposition import pca
from ftml.families.density import kde
from ftml.families.ensemble import decision_tree
from ftml.families.linear import kernel_ridge, ols, ridge

SHAPES = {
    "n": st.integers(2, 40),
    "d": st.integers(1, 25),
    "seed": st.integers(0, 2**32 - 1),
}
EXAMPLES = 30


def draw(n: int, d: int, seed: int) -> tuple[Table, np.ndarray]:
    """Return a linear problem of n rows and d columns with noise, and 7 new rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + 7, d)) + 2.0
    y = X[:n] @ rng.normal(size=d) + 1.0 + 0.3 * rng.normal(size=n)
    return Table(X[:n], y), X[n:]


@settings(max_examples=EXAMPLES)
@given(**SHAPES)
def test_ols_has_the_coefficients_of_least_norm(n: int, d: int, seed: int) -> None:
    data, new = draw(n, d, seed)
    oracle = LinearRegression().fit(data.X, data.y)
    condition = np.linalg.cond(data.X - data.X.mean(axis=0))
    found = fit(ols.Config(), data).model.predict(new)
    tolerance = 1e-12 * max(1e3, min(condition**2, 1e8))  # of normal equations
    np.testing.assert_allclose(found, oracle.predict(new), rtol=0, atol=tolerance)


@settings(max_examples=EXAMPLES)
@given(**SHAPES, alpha=st.sampled_from([1e-3, 1.0, 1e2]))
def test_ridge_is_that_of_scikit_learn(n: int, d: int, seed: int, alpha: float) -> None:
    data, new = draw(n, d, seed)
    oracle = Ridge(alpha=n * alpha, solver="svd").fit(data.X, data.y)
    model = fit(ridge.Config(alpha=alpha, standardize=False), data).model
    np.testing.assert_allclose(model.predict(new), oracle.predict(new), atol=1e-8)


@settings(max_examples=EXAMPLES)
@given(**SHAPES, width=st.sampled_from([0.5, 3.0]))
def test_kernel_ridge_is_that_of_scikit_learn(
    n: int, d: int, seed: int, width: float
) -> None:
    data, new = draw(n, d, seed)
    center, scale = data.X.mean(axis=0), data.X.std(axis=0)
    oracle = KernelRidge(alpha=n * 0.1, kernel="rbf", gamma=1 / (2 * d * width**2))
    oracle.fit((data.X - center) / scale, data.y - data.y.mean())
    expected = oracle.predict((new - center) / scale) + data.y.mean()
    model = fit(kernel_ridge.Config(alpha=0.1, width=width), data).model
    np.testing.assert_allclose(model.predict(new), expected, atol=1e-9)


@settings(max_examples=EXAMPLES)
@given(**SHAPES)
def test_pca_keeps_the_variances_of_the_singular_values(
    n: int, d: int, seed: int
) -> None:
    data, new = draw(n, d, seed)
    q = 1 + seed % min(n - 1, d)
    model = fit(pca.Config(n_components=q), data).model
    mean = data.X.mean(axis=0)
    _, values, rows = np.linalg.svd(data.X - mean, full_matrices=False)
    np.testing.assert_allclose(model.variances, values[:q] ** 2 / n, rtol=1e-9)
    if q == len(values) or values[q] < 0.9 * values[q - 1]:  # the plane is unique
        expected = mean + (new - mean) @ rows[:q].T @ rows[:q]
        np.testing.assert_allclose(model.reconstruct(new), expected, atol=1e-6)


@settings(max_examples=EXAMPLES)
@given(**SHAPES)
def test_kde_is_the_mean_of_its_kernels(n: int, d: int, seed: int) -> None:
    data, new = draw(n, d, seed)
    config = kde.Config(bandwidth=0.7, standardize=False)
    found = fit(config, Table(data.X)).model.log_density(new)
    squared = ((new[:, None] - data.X) ** 2).sum(axis=2)
    constant = np.log(n) + d * np.log(0.7 * np.sqrt(2 * np.pi))
    expected = logsumexp(-squared / (2 * 0.7**2), axis=1) - constant
    np.testing.assert_allclose(found, expected, atol=1e-8)


@settings(max_examples=EXAMPLES)
@given(**SHAPES)
def test_a_stump_splits_as_well_as_that_of_scikit_learn(
    n: int, d: int, seed: int
) -> None:
    data, _ = draw(n, d, seed)
    labels = Table(data.X, (data.y > np.median(data.y)).astype(int), classes=("a", "b"))
    model = fit(decision_tree.Config(max_depth=1), labels).model
    oracle = DecisionTreeClassifier(max_depth=1).fit(labels.X, labels.y)
    found, theirs = (each.predict_proba(labels.X) for each in (model, oracle))
    impurity = [np.sum(p * (1 - p)) for p in (found, theirs)]
    assert impurity[0] == pytest.approx(impurity[1], abs=1e-9)
