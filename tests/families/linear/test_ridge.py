"""Ridge regression against scikit-learn, its stationarity, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ftml import Splits, Table, fit
from ftml.families.linear.ols import solve_ols
from ftml.families.linear.ridge import Config, Model, solve_ridge, train, train_many

ALPHAS = (1e-6, 1e-3, 1.0, 1e3)
SHAPES = ((40, 5), (8, 15), (10, 10))
"More rows than columns, fewer, and as many."


def table(n: int, d: int, *, scales: bool = False) -> Table:
    """Return a noisy linear problem, at need with columns of any size."""
    rng = np.random.default_rng(n + 100 * d)
    X = rng.normal(size=(n, d)) + rng.normal(size=d)
    y = X @ rng.normal(size=d) + 2.0 + 0.3 * rng.normal(size=n)
    return Table(X * 10.0 ** rng.integers(-3, 4, size=d) if scales else X, y)


def theta_of(data: Table, **config: object) -> np.ndarray:
    return fit(Config(**config), data).model.theta


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_solution_equals_that_of_scikit_learn(n: int, d: int, alpha: float) -> None:
    data = table(n, d)
    oracle = Ridge(alpha=n * alpha, solver="svd").fit(data.X, data.y)
    theta = theta_of(data, alpha=alpha, standardize=False)
    expected = np.append(oracle.coef_, oracle.intercept_)
    # The normal equations lose the digits of their condition number from 16. It is 2e6
    # at worst here, for the square X and the smallest alpha: 3e-11 was measured.
    assert np.linalg.norm(theta - expected) <= 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_standardized_solution_equals_that_of_a_pipeline(
    n: int, d: int, alpha: float
) -> None:
    data = table(n, d, scales=True)
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=n * alpha, solver="svd"))
    expected = oracle.fit(data.X, data.y).predict(data.X)
    predicted = fit(Config(alpha=alpha), data).model.predict(data.X)
    np.testing.assert_allclose(predicted, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_gradient_of_the_objective_is_zero_at_the_solution(
    n: int, d: int, alpha: float
) -> None:
    data = table(n, d)
    theta = theta_of(data, alpha=alpha, standardize=False)
    residual = data.X @ theta[:-1] + theta[-1] - data.y
    gradient = 2 * data.X.T @ residual / n + 2 * alpha * theta[:-1]
    # Relative to the gradient at zero: what is left is rounding, times |X'X/n|.
    scale = np.abs(2 * data.X.T @ data.y / n).max()
    assert np.abs(gradient).max() <= 1e-10 * scale
    assert abs(residual.mean()) <= 1e-10 * np.abs(data.y).max()


def test_solution_is_the_minimum_of_the_objective_as_the_notes_write_it() -> None:
    data, alpha = table(12, 3), 0.1

    def objective(theta: np.ndarray) -> float:
        residual = data.y - data.X @ theta[:-1] - theta[-1]
        return residual @ residual / len(data) + alpha * theta[:-1] @ theta[:-1]

    found = scipy.optimize.minimize(
        objective, np.zeros(4), options={"gtol": 1e-8}, tol=1e-12
    )
    # The optimizer takes its gradient by differences: good to half of the digits.
    theta = theta_of(data, alpha=alpha, standardize=False)
    np.testing.assert_allclose(theta, found.x, rtol=1e-5)


def test_ridge_of_one_feature_by_hand() -> None:
    # Centred x is (-1, 0, 1) and x'y = 2, S = 2/3: theta = (2/3) / (2/3 + 1/3) = 2/3,
    # and the intercept is mean(y) - theta mean(x) = 2 - (2/3) 1 = 4/3.
    data = Table(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 2.0, 3.0]))
    theta = theta_of(data, alpha=1 / 3, standardize=False)
    np.testing.assert_allclose(theta, [2 / 3, 4 / 3], rtol=1e-14)


def test_no_penalty_is_least_squares() -> None:
    data = table(40, 5)
    oracle = LinearRegression().fit(data.X, data.y)
    expected = np.append(oracle.coef_, oracle.intercept_)
    for standardize in (True, False):
        theta = theta_of(data, alpha=0.0, standardize=standardize)
        np.testing.assert_allclose(theta, expected, rtol=1e-11)


def test_no_penalty_and_more_columns_than_rows_gives_the_minimum_norm() -> None:
    data = table(8, 15)
    X, y = data.X - data.X.mean(axis=0), data.y - data.y.mean()
    theta = solve_ridge(X, y, alpha=0.0)
    np.testing.assert_allclose(X @ theta, y, atol=1e-12)
    # The shortest solution has no part that X does not see: it is the pseudo-inverse's.
    np.testing.assert_allclose(theta, np.linalg.pinv(X) @ y, rtol=1e-10)
    np.testing.assert_allclose(theta_of(data, alpha=0.0, standardize=False)[:-1], theta)


def test_minimum_norm_is_the_limit_of_a_vanishing_penalty() -> None:
    data = table(8, 15)
    limit = theta_of(data, alpha=0.0, standardize=False)
    near = theta_of(data, alpha=1e-8, standardize=False)
    np.testing.assert_allclose(near, limit, atol=1e-5)


def test_both_systems_of_equations_have_one_solution() -> None:
    # Columns of zeros add nothing, but make d > n, so that the other system is solved.
    data = table(12, 5)
    wide = np.hstack([data.X, np.zeros((12, 10))])
    narrow = solve_ridge(data.X, data.y, alpha=0.3)
    np.testing.assert_allclose(
        solve_ridge(wide, data.y, alpha=0.3)[:5], narrow, rtol=1e-12
    )


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
def test_unit_of_a_feature_does_not_matter_when_it_is_standardized(
    alpha: float,
) -> None:
    data = table(40, 5)
    scale, shift = (
        np.array([1e-3, 1e3, 7.0, -2.0, 1.0]),
        np.array([0.0, 50.0, -3.0, 1.0, 9.0]),
    )
    other = Table(data.X * scale + shift, data.y)
    one = fit(Config(alpha=alpha), data).model.predict(data.X)
    np.testing.assert_allclose(
        fit(Config(alpha=alpha), other).model.predict(other.X), one
    )


def test_constant_column_has_no_weight_and_does_no_harm() -> None:
    data = table(40, 5)
    wide = Table(np.column_stack([data.X, np.full(40, 0.1)]), data.y)
    one, other = theta_of(data, alpha=0.1), theta_of(wide, alpha=0.1)
    np.testing.assert_allclose(np.delete(other, 5), one, rtol=1e-12)
    assert abs(other[5]) < 1e-12


@pytest.mark.parametrize("alpha", [1e-12, 1e-3])
@pytest.mark.parametrize(("n", "d"), [(40, 5), (8, 15)])
def test_duplicate_of_a_large_column_takes_half_of_its_weight(
    n: int, d: int, alpha: float
) -> None:
    data = table(n, d)
    X = data.X * 1e6
    one = theta_of(Table(X, data.y), alpha=2 * alpha, standardize=False)
    both = Table(np.hstack([X, X]), data.y)
    other = theta_of(both, alpha=alpha * 4, standardize=False)
    # (1/n)|y - X(u + v)|^2 + a(|u|^2 + |v|^2) has u = v = w/2: a |w|^2 / 2.
    np.testing.assert_allclose(other[:d] + other[d:-1], one[:-1], rtol=1e-6)
    configs = [Config(alpha=a, standardize=False) for a in (4 * alpha, 1.0)]
    (steps,) = train_many(configs, Splits(both))
    np.testing.assert_allclose(steps[0].model.theta, other, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-170, 1e160])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_columns_of_any_unit_are_standardized(alpha: float, unit: float) -> None:
    data = table(40, 5)
    other = Table(data.X * unit, data.y)
    one = fit(Config(alpha=alpha), data).model.predict(data.X)
    np.testing.assert_allclose(
        fit(Config(alpha=alpha), other).model.predict(other.X), one, rtol=1e-9
    )


@given(st.permutations(range(12)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    data = table(12, 3)
    expected = theta_of(data, alpha=0.1)
    np.testing.assert_allclose(
        theta_of(data.rows(np.array(order)), alpha=0.1), expected
    )


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_shift_of_the_target_moves_the_intercept_alone(
    shift: float, stretch: float
) -> None:
    data = table(12, 3)
    theta = theta_of(data, alpha=0.1)
    moved = theta_of(Table(data.X, stretch * data.y + shift), alpha=0.1)
    expected = stretch * theta + shift * np.eye(4)[-1]
    # The sums hold the shift: what is left of it is rounding of the largest term.
    np.testing.assert_allclose(
        moved, expected, atol=1e-11 * (1 + abs(shift) + abs(stretch))
    )


def test_larger_penalty_makes_shorter_coefficients_and_larger_errors() -> None:
    data = table(40, 5)
    runs = [fit(Config(alpha=alpha), Splits(data)) for alpha in ALPHAS]
    lengths = [np.linalg.norm(run.model.theta[:-1]) for run in runs]
    errors = [run.metrics["train_mse"] for run in runs]
    assert lengths == sorted(lengths, reverse=True)
    assert errors == sorted(errors)


def test_training_takes_one_step_and_a_resumed_one_none() -> None:
    data = Splits(table(12, 3))
    (step,) = train(Config(), data)
    assert list(train(Config(), data, step.state)) == []
    residual = data.train.y - step.model.predict(data.train.X)
    assert step.metrics == {"train_mse": pytest.approx(np.mean(residual**2), rel=1e-14)}


def test_prediction_of_the_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="X has 3 columns, the model was fitted on 2"):
        Model(np.ones(3)).predict(np.ones((4, 3)))


@pytest.mark.parametrize("standardize", [True, False])
def test_rank_without_penalty_knows_the_rounding_of_raw_columns(
    standardize: bool,
) -> None:
    rng = np.random.default_rng(0)
    seconds = 1.7e9 + np.floor(1e5 * rng.normal(size=60))
    y = 1e-5 * (seconds - 1.7e9) + 0.1 * rng.normal(size=60)
    data = Table(np.column_stack([seconds, seconds / 86400]), y)
    config = Config(alpha=0.0, standardize=standardize)
    model = fit(config, data).model
    (many,) = next(train_many([config], Splits(data)))
    for each in (model, many.model):
        np.testing.assert_allclose(
            each.predict(data.X), solve_ols(data.X, y).predict(data.X), atol=1e-6
        )
    # The shortest coefficients: in scaled columns, which are alike, both are equal.
    scaled = model.theta[:2] * data.X.std(axis=0)
    raw_ratio = scaled[1] / scaled[0] if standardize else model.theta[1] * 86400
    expected = 1.0 if standardize else model.theta[0]
    assert raw_ratio == pytest.approx(expected, rel=1e-3)
