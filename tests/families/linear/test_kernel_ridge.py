"""Kernel ridge regression against scikit-learn, and ridge regression as its limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from ftml import Table, fit
from ftml.families.linear import ridge
from ftml.families.linear.kernel_ridge import Config, kernel_matrix


def table(n: int = 40, d: int = 3) -> Table:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * [1.0, 10.0, 0.1] + 2.0
    return Table(X, np.sin(X[:, 0]) + 0.1 * X[:, 1] + 5.0 + 0.1 * rng.normal(size=n))


@pytest.mark.parametrize("alpha", [1e-4, 1e-1])
@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
def test_predictions_equal_those_of_scikit_learn(kernel: str, alpha: float) -> None:
    data, new = table(), table(50).X
    center, scale = data.X.mean(axis=0), data.X.std(axis=0)
    oracle = KernelRidge(
        alpha=40 * alpha,
        kernel=kernel.replace("polynomial", "poly"),
        gamma=1 / 3 if kernel == "polynomial" else 1 / (2 * 3 * 0.7**2),
        degree=2,
    ).fit((data.X - center) / scale, data.y - data.y.mean())
    expected = oracle.predict((new - center) / scale) + data.y.mean()
    config = Config(alpha=alpha, kernel=kernel, width=0.7, degree=2)
    np.testing.assert_allclose(
        fit(config, data).model.predict(new), expected, rtol=1e-9
    )


def test_polynomial_of_degree_one_is_ridge_regression() -> None:
    # K = XX'/d + 1; the columns and y are centred, so that the 1 takes no part.
    data, new = table(), table(50).X
    kernel = fit(Config(alpha=0.2, kernel="polynomial", degree=1), data).model
    linear = fit(ridge.Config(alpha=0.2 * 3), data).model
    np.testing.assert_allclose(kernel.predict(new), linear.predict(new), rtol=1e-10)


def test_vanishing_penalty_interpolates_and_a_large_one_gives_the_mean() -> None:
    data = table()
    exact = fit(Config(alpha=1e-12, width=0.3), data).model.predict(data.X)
    np.testing.assert_allclose(exact, data.y, atol=1e-6)
    flat = fit(Config(alpha=1e9), data).model.predict(data.X)
    np.testing.assert_allclose(flat, data.y.mean(), rtol=1e-6)


def test_kernel_of_every_pair_by_its_formula() -> None:
    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    form = {"width": 0.7, "degree": 3}
    rbf = kernel_matrix(A, B, kernel="rbf", **form)
    polynomial = kernel_matrix(A, B, kernel="polynomial", **form)
    for i, j in np.ndindex(4, 5):
        distance = np.sum((A[i] - B[j]) ** 2)
        assert rbf[i, j] == pytest.approx(np.exp(-distance / (2 * 3 * 0.49)), rel=1e-13)
        assert polynomial[i, j] == pytest.approx((A[i] @ B[j] / 3 + 1) ** 3, rel=1e-12)


@given(st.permutations(range(12)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    data = table(12)
    one = fit(Config(), data).model.predict(data.X)
    other = fit(Config(), data.rows(np.array(order))).model.predict(data.X)
    np.testing.assert_allclose(other, one, rtol=1e-8)


def test_prediction_of_the_wrong_number_of_columns_is_refused() -> None:
    model = fit(Config(), table()).model
    with pytest.raises(ValueError, match="X has 2 columns, the model was fitted on 3"):
        model.predict(np.ones((4, 2)))
