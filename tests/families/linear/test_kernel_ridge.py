"""Kernel ridge regression against scikit-learn, and ridge regression as its limit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.kernel_ridge import KernelRidge

from ftml import Splits, Table, fit, memory
from ftml.families.linear import ridge
from ftml.families.linear.kernel_ridge import Config, kernel_matrix, solve_dual, train


def table(n: int = 40, d: int = 3) -> Table:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * np.resize([1.0, 10.0, 0.1], d) + 2.0
    return Table(X, np.sin(X[:, 0]) + 0.1 * X[:, 1] + 5.0 + 0.1 * rng.normal(size=n))


@pytest.mark.parametrize("alpha", [1e-4, 1e-1])
@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
@pytest.mark.parametrize(("n", "d"), [(40, 3), (9, 14)])
def test_predictions_equal_those_of_scikit_learn(
    n: int, d: int, kernel: str, alpha: float
) -> None:
    data, new = table(n, d), table(50, d).X
    center, scale = data.X.mean(axis=0), data.X.std(axis=0)
    oracle = KernelRidge(
        alpha=n * alpha,
        kernel=kernel.replace("polynomial", "poly"),
        gamma=1 / d if kernel == "polynomial" else 1 / (2 * d * 0.7**2),
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


def test_squared_distances_by_products_are_those_by_differences() -> None:
    rng = np.random.default_rng(1)
    A = np.vstack([rng.normal(size=(30, 40)), 100.0 + rng.normal(size=(2, 40))])
    A = np.vstack([A, A[-1:]])
    found = kernel_matrix(A, A, kernel="rbf", width=1.0, degree=1)
    expected = np.exp(-cdist(A, A, "sqeuclidean") / 80.0)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)


def test_solution_and_its_fit_come_from_one_array() -> None:
    rng = np.random.default_rng(0)
    root, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    K = root @ root.T
    dual, fitted = solve_dual(K.copy(), y, alpha=0.1)
    expected = np.linalg.solve(K + 20 * 0.1 * np.eye(20), y)
    np.testing.assert_allclose(dual, expected, rtol=1e-9)
    np.testing.assert_allclose(fitted, K @ expected, rtol=1e-9)


def test_training_holds_one_array_of_pairs_of_rows() -> None:
    data = table(600)
    list(train(Config(), Splits(data)))  # imports and first use
    tracemalloc.start()
    list(train(Config(), Splits(data)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * 8 * 600**2


def test_rows_whose_kernel_does_not_fit_into_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**14)
    message = "matrix of 64 rows takes 0.0 GiB, 0.0 GiB are available; train on a"
    with pytest.raises(ValueError, match=message):
        fit(Config(), table(64))


def test_penalty_below_rounding_is_refused() -> None:
    data = table()
    same = Table(np.repeat(data.X, 2, axis=0), np.repeat(data.y, 2))
    with pytest.raises(ValueError, match=r"alpha is 1e-30: .*raise alpha, above"):
        fit(Config(alpha=1e-30), same)


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
