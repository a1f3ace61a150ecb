"""Linear SVM against liblinear, its duality, and stationarity of the smooth primal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from ftml import Splits, Table, fit
from ftml.families.linear.linear_svm import Config, dual, make_problem, primal, train

SURROGATES = ("hinge", "squared_hinge")


def table(n: int = 60, d: int = 4) -> Table:
    """Return two classes that overlap, with standardised columns."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, d)) + 0.7 * y[:, None]
    return Table((X - X.mean(axis=0)) / X.std(axis=0), y, classes=("no", "yes"))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("alpha", [1e-2, 1e-1])
@pytest.mark.parametrize(("n", "d"), [(60, 4), (15, 22)])
def test_optimum_equals_that_of_liblinear(
    n: int, d: int, surrogate: str, alpha: float
) -> None:
    data = table(n, d)
    config = Config(
        alpha=alpha, surrogate=surrogate, n_iterations=50_000, tolerance=1e-12
    )
    oracle = LinearSVC(
        C=1 / (n * alpha), loss=surrogate, dual=True, tol=1e-10, max_iter=1_000_000
    ).fit(data.X, data.y)
    expected = np.append(oracle.coef_[0], oracle.intercept_)
    # A gap of 1e-12 leaves an error of sqrt(2e-12 / alpha) <= 2e-5 at most.
    np.testing.assert_allclose(fit(config, data).model.theta, expected, atol=2e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SURROGATES))
def test_every_dual_value_is_below_every_primal_one(seed: int, surrogate: str) -> None:
    rng = np.random.default_rng(seed)
    Xy, form = rng.normal(size=(9, 3)), {"alpha": 0.1, "surrogate": surrogate}
    w, a = rng.normal(size=3), rng.uniform(0, 1, size=9)
    assert dual(a, Xy, **form) <= primal(w, Xy, **form)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_gap_closes_and_bounds_the_distance_to_the_optimum(surrogate: str) -> None:
    config = Config(surrogate=surrogate, n_iterations=20_000, tolerance=1e-9)
    run = [step.metrics for step in train(config, Splits(table()))]
    best = run[-1]["train_objective"]
    assert run[-1]["train_gap"] <= 1e-9
    for each in run:
        assert each["train_objective"] - best <= each["train_gap"] + 1e-14


def test_gradient_of_the_smooth_primal_is_zero_at_the_solution() -> None:
    data, alpha = table(), 0.1
    w = fit(Config(alpha=alpha, tolerance=1e-13, n_iterations=20_000), data).model.theta
    Xy = (2.0 * data.y - 1)[:, None] * np.column_stack([data.X, np.ones(60)])
    gradient = -2 * Xy.T @ np.maximum(1 - Xy @ w, 0) / 60 + alpha * w
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_separable_data_gives_the_widest_margin() -> None:
    # Two points at +-2: the separator of largest margin has y w x = 1 there: w = 1/2.
    data = Table(np.array([[2.0], [-2.0]]), np.array([1, 0]), classes=("no", "yes"))
    config = Config(alpha=1e-2, surrogate="hinge", tolerance=1e-12, n_iterations=5000)
    np.testing.assert_allclose(fit(config, data).model.theta, [0.5, 0.0], atol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(30, 4), (6, 11)])
def test_step_is_one_over_the_largest_eigenvalue(n: int, d: int) -> None:
    problem = make_problem(Config(), table(n, d))
    expected = np.linalg.norm(problem.X, ord=2) ** 2
    assert problem.largest == pytest.approx(expected, rel=1e-12)


def test_probabilities_rank_as_the_scores() -> None:
    data = table()
    model = fit(Config(), data).model
    order = np.argsort(model.decision_function(data.X))
    assert (np.diff(model.predict_proba(data.X)[order, 1]) >= 0).all()
