"""Least squares against scikit-learn and closed forms; its risk by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from ftml import Splits, Table, fit
from ftml.families.linear.ols import Config, solve_ols, train


def table(n: int = 40, d: int = 5) -> Table:
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=(n, d)) * 10.0 ** np.arange(-2, d - 2) + 3.0
    return Table(X, X @ rng.normal(size=d) + 2.0 + 0.5 * rng.normal(size=n))


@pytest.mark.parametrize(("n", "d"), [(40, 5), (7, 6), (5, 5), (6, 12)])
def test_solution_equals_that_of_scikit_learn(n: int, d: int) -> None:
    data = table(n, min(d, 5)) if d < 6 else Table(*_plain(n, d))
    oracle = LinearRegression().fit(data.X, data.y)
    expected = np.append(oracle.coef_, oracle.intercept_)
    theta = fit(Config(), data).model.theta
    assert np.linalg.norm(theta - expected) <= 1e-9 * np.linalg.norm(expected)


def _plain(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(d)
    return rng.normal(size=(n, d)), rng.normal(size=n)


def test_standard_errors_are_those_of_the_normal_equations() -> None:
    data = table()
    model = fit(Config(), data).model
    A = np.column_stack([data.X, np.ones(40)])
    residual = data.y - A @ model.theta
    covariance = residual @ residual / (40 - 6) * np.linalg.inv(A.T @ A)
    # Of columns of scales 1e-2 to 1e2: the inverse itself loses six digits of 16.
    np.testing.assert_allclose(
        model.standard_errors, np.sqrt(np.diag(covariance)), rtol=1e-8
    )


def test_standard_error_of_one_column_is_that_of_scipy() -> None:
    data = table(30, 1)
    oracle = scipy.stats.linregress(data.X[:, 0], data.y)
    model = fit(Config(), data).model
    np.testing.assert_allclose(model.theta, [oracle.slope, oracle.intercept])
    np.testing.assert_allclose(
        model.standard_errors, [oracle.stderr, oracle.intercept_stderr]
    )


def test_expected_excess_risk_is_noise_times_coefficients_over_samples() -> None:
    # (1/n) |A theta - A theta*|^2 has the mean sigma^2 (d + 1) / n on a fixed design.
    n, d, sigma, rounds = 50, 4, 0.7, 600
    rng = np.random.default_rng(0)
    X, truth = rng.normal(size=(n, d)), rng.normal(size=d + 1)
    mean = X @ truth[:-1] + truth[-1]
    risks = np.array(
        [
            np.mean((X @ (t := solve_ols(X, y).theta)[:-1] + t[-1] - mean) ** 2)
            for y in mean + sigma * rng.normal(size=(rounds, n))
        ]
    )
    expected = sigma**2 * (d + 1) / n
    assert abs(risks.mean() - expected) < 3 * risks.std() / np.sqrt(rounds)


def test_sums_of_squares_add_up_only_with_an_intercept() -> None:
    # The notes ask for linear predictions alone (mistake 12); that is not enough.
    data = Table(*_plain(40, 3))
    predicted = fit(Config(), data).model.predict(data.X)
    total = np.sum((data.y - data.y.mean()) ** 2)
    explained = np.sum((predicted - data.y.mean()) ** 2)
    assert explained + np.sum((data.y - predicted) ** 2) == pytest.approx(total)
    bare = data.X @ np.linalg.lstsq(data.X, data.y)[0]
    without = np.sum((bare - data.y.mean()) ** 2) + np.sum((data.y - bare) ** 2)
    assert abs(without - total) > 1e-3 * total


def test_more_columns_than_rows_gives_the_minimum_norm_and_no_standard_errors() -> None:
    X, y = _plain(6, 12)
    model = fit(Config(), Table(X, y)).model
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)
    shortest = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())
    np.testing.assert_allclose(model.theta[:-1], shortest, rtol=1e-10)
    assert np.isnan(model.standard_errors).all()


def test_constant_column_has_no_weight() -> None:
    data = table()
    wide = Table(np.column_stack([data.X, np.full(40, 0.1)]), data.y)
    one, other = fit(Config(), data).model.theta, fit(Config(), wide).model.theta
    np.testing.assert_allclose(np.delete(other, 5), one, rtol=1e-9)
    assert abs(other[5]) < 1e-12


def one_hot(n: int, k: int = 3) -> Table:
    """Return all values of a category, a feature, and a target."""
    rng = np.random.default_rng(n)
    hot = np.eye(k)[rng.integers(k, size=n)]
    z = rng.normal(size=n)
    y = hot @ np.arange(k) + 2.0 * z + 3.0 + 0.1 * rng.normal(size=n)
    return Table(np.column_stack([hot, z]), y)


@pytest.mark.parametrize("n", [4, 60, 500, 5000])
def test_all_values_of_a_category_have_the_shortest_coefficients(n: int) -> None:
    data = one_hot(n)
    model = fit(Config(), data).model
    oracle = LinearRegression().fit(data.X, data.y)
    expected = np.append(oracle.coef_, oracle.intercept_)
    np.testing.assert_allclose(model.theta, expected, atol=1e-9)
    unseen = np.array([[0.0, 0.0, 0.0, 0.5]])
    np.testing.assert_allclose(model.predict(unseen), oracle.predict(unseen), atol=1e-9)


def test_only_coefficients_that_are_unique_have_standard_errors() -> None:
    data = one_hot(500)
    model = fit(Config(), data).model
    np.testing.assert_array_equal(np.isnan(model.standard_errors), [1, 1, 1, 0, 1])
    # Without one of the values every coefficient is unique; that of z is the same.
    fewer = fit(Config(), Table(data.X[:, 1:], data.y)).model
    assert model.standard_errors[3] == pytest.approx(fewer.standard_errors[2], rel=1e-9)


@pytest.mark.parametrize("n", [20, 3000])
def test_celsius_beside_kelvin_predicts_as_celsius_alone(n: int) -> None:
    rng = np.random.default_rng(n)
    celsius, z = 15.0 + 8.0 * rng.normal(size=n), rng.normal(size=n)
    y = 0.3 * celsius + z + 0.1 * rng.normal(size=n)
    alone = fit(Config(), Table(np.column_stack([celsius, z]), y)).model
    X = np.column_stack([celsius, celsius + 273.15, 1.8 * celsius + 32.0, z])
    both = fit(Config(), Table(X, y)).model
    expected = alone.predict(X[:, [0, 3]])
    np.testing.assert_allclose(both.predict(X), expected, atol=1e-9)
    np.testing.assert_array_equal(np.isnan(both.standard_errors), [1, 1, 1, 0, 1])
    assert both.standard_errors[3] == pytest.approx(alone.standard_errors[1], rel=1e-9)


def test_duplicate_keeps_the_intercept_unique() -> None:
    data = table(30, 2)
    wide = Table(data.X[:, [0, 0, 1]], data.y)
    one, two = (fit(Config(), each).model for each in (data, wide))
    np.testing.assert_allclose(two.theta, one.theta[[0, 0, 1, 2]] / [2, 2, 1, 1])
    np.testing.assert_allclose(
        two.standard_errors, [np.nan, np.nan, *one.standard_errors[1:]]
    )


@pytest.mark.parametrize("unit", [1e-170, 1e-8, 1e8, 1e160])
@pytest.mark.parametrize("n", [12, 60])
def test_unit_of_a_column_does_not_matter(n: int, unit: float) -> None:
    data = one_hot(n)
    other = Table(np.column_stack([data.X, data.X[:, 3] * unit]), data.y)
    alone = Table(other.X[:, [0, 1, 2, 4]], data.y)
    expected = fit(Config(), data).model.predict(data.X)
    for each in (other, alone):
        model = fit(Config(), each).model
        np.testing.assert_allclose(model.predict(each.X), expected, atol=1e-9)
    error = fit(Config(), data).model.standard_errors[3]
    found = fit(Config(), alone).model.standard_errors[3] * unit
    assert found == pytest.approx(error, rel=1e-9)


def test_offset_that_float64_holds_does_not_matter() -> None:
    data = one_hot(60)
    moved = Table(data.X + np.array([0.0, 0.0, 0.0, 2.0**20]), data.y)
    one, other = (fit(Config(), each).model for each in (data, moved))
    # The column keeps 1e-10 of itself.
    np.testing.assert_allclose(other.predict(moved.X), one.predict(data.X), atol=1e-8)
    assert other.standard_errors[3] == pytest.approx(one.standard_errors[3], rel=1e-8)


@given(st.permutations(range(12)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    data = Table(*_plain(12, 3))
    expected = fit(Config(), data).model
    other = fit(Config(), data.rows(np.array(order))).model
    np.testing.assert_allclose(other.theta, expected.theta)
    np.testing.assert_allclose(other.standard_errors, expected.standard_errors)


def test_training_takes_one_step_and_a_resumed_one_none() -> None:
    data = Splits(table())
    (step,) = train(Config(), data)
    assert list(train(Config(), data, step.state)) == []
