"""The common problem: derivatives, constants, and scikit-learn's optimum."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import ftml
from ftml import Table
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import (
    FiniteSum,
    gradient,
    hessian,
    make_sum,
    minimum,
    newton_step,
    objective,
    random_indices,
    steepness,
)
from tests.families.optimization.sums import gaps, overlapping, problem

PENALISED, _ = problem(overlapping(), 0.1)
SOLVERS = ("gradient_descent", "nesterov", "newton", "sgd", "sag", "saga")


def test_gradient_and_hessian_equal_central_differences_in_every_coordinate() -> None:
    g, _ = problem(overlapping(9), 0.1)
    theta, h = np.random.default_rng(1).normal(size=4), 1e-5
    for j, step in enumerate(h * np.eye(4)):
        slope = (objective(g, theta + step) - objective(g, theta - step)) / (2 * h)
        assert slope == pytest.approx(gradient(g, theta)[j], rel=1e-6)
        column = (gradient(g, theta + step) - gradient(g, theta - step)) / (2 * h)
        np.testing.assert_allclose(column, hessian(g, theta)[:, j], rtol=1e-6)


def test_mean_of_the_gradients_of_all_samples_is_the_gradient() -> None:
    g, _ = problem(overlapping(), 0.1)
    theta = np.random.default_rng(1).normal(size=4)
    each = [
        -y * steepness(y * (x @ theta)) * x + g.mu * theta
        for x, y in zip(g.X, g.y, strict=True)
    ]
    np.testing.assert_allclose(np.mean(each, axis=0), gradient(g, theta), atol=1e-14)


@given(st.integers(0, 2**32 - 1))
def test_no_curvature_is_below_mu_or_above_its_lipschitz_constant(seed: int) -> None:
    g = PENALISED
    theta = np.random.default_rng(seed).normal(size=4)
    values = np.linalg.eigvalsh(hessian(g, theta))
    assert g.mu - 1e-12 <= values[0]
    assert values[-1] <= g.smoothness + 1e-12
    assert g.smoothness <= g.smoothness_of_each.max() + 1e-12


@pytest.mark.parametrize(("n", "d"), [(40, 3), (11, 17)])
def test_optimum_equals_that_of_scikit_learn(n: int, d: int) -> None:
    g, theta = problem(overlapping(n, d), 0.05)
    oracle = LogisticRegression(
        C=1 / (n * 0.05), fit_intercept=False, tol=1e-12, solver="newton-cg"
    ).fit(g.X, g.y)
    np.testing.assert_allclose(theta, oracle.coef_[0], rtol=1e-6)
    assert minimum(g) == pytest.approx(objective(g, theta), abs=1e-15)


@pytest.mark.parametrize(("n", "d"), [(41, 3), (11, 17)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gradient_descent", {"step": 1.9}),
        ("nesterov", {}),
        ("newton", {}),
        ("sgd", {"schedule": "decreasing"}),
        ("sag", {"sampling": "uniform"}),
        ("sag", {"step": "line_search"}),
        ("saga", {"step": 3.0}),
    ],
)
def test_every_solver_ends_at_the_optimum_of_scikit_learn(
    name: str, options: dict[str, Any], n: int, d: int
) -> None:
    """To rounding; stochastic gradient descent to the noise of its last steps."""
    data, kind = overlapping(n, d), ftml.family(name)
    config = kind.Config(alpha=0.1, n_passes=400, tolerance=1e-15, **options)
    *_, last = kind.train(config, data)
    X = np.column_stack([StandardScaler().fit_transform(data.train.X), np.ones(n)])
    oracle = LogisticRegression(
        C=1 / (0.1 * n), fit_intercept=False, tol=1e-12, solver="newton-cg"
    ).fit(X, data.train.y)
    error = 0.05 if name == "sgd" else 1e-6
    np.testing.assert_allclose(last.state["theta"], oracle.coef_[0], atol=error)


def test_minimum_of_a_large_sum_is_that_of_newton(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    g, _ = problem(overlapping(60, 8), 1e-3)
    expected = minimum(g)
    steps: list[np.ndarray] = []

    def counted(g: FiniteSum, theta: np.ndarray) -> np.ndarray:
        steps.append(theta)
        return newton_step(g, theta)

    monkeypatch.setattr(_finite_sum, "LARGE", 0)
    monkeypatch.setattr(_finite_sum, "newton_step", counted)
    assert minimum(g) == pytest.approx(expected, abs=1e-15)
    assert len(steps) <= 3


def test_minimum_of_few_rows_needs_no_matrix_of_all_columns() -> None:
    n, d = 12, 1500
    rng = np.random.default_rng(0)
    table = Table(rng.normal(size=(n, d)), np.arange(n) % 2, classes=("no", "yes"))
    g = make_sum(table, mu=0.1)
    tracemalloc.start()
    try:
        found = minimum(g)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * d**2 / 8
    # At the optimum the gradient is 0, so that theta is a sum of rows.
    c = scipy.optimize.minimize(
        lambda c: objective(g, g.X.T @ c),
        np.zeros(n),
        jac=lambda c: g.X @ gradient(g, g.X.T @ c),
        tol=1e-12,
    ).x
    assert found == pytest.approx(objective(g, g.X.T @ c), rel=1e-9)


def test_minimum_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[FiniteSum] = []

    def counted(g: FiniteSum) -> float:
        calls.append(g)
        return minimum(g)

    monkeypatch.setattr(_finite_sum, "minimum", counted)
    kind, data = ftml.family("nesterov"), overlapping()
    config = kind.Config(n_passes=6)
    first, *rest = kind.train(config, data)
    resumed = list(kind.train(config, data, first.state))
    assert [each.metrics for each in resumed] == [each.metrics for each in rest]
    assert len(calls) == 1


def test_newton_step_at_the_optimum_stays_there() -> None:
    g, theta = problem(overlapping(), 0.05)
    np.testing.assert_allclose(newton_step(g, theta), theta, atol=1e-12)


@pytest.mark.parametrize("margin", [-1e4, -3.0, 0.0, 3.0, 700.0, 1e4])
def test_steepness_is_the_logistic_function_and_never_overflows(margin: float) -> None:
    assert steepness(margin) == pytest.approx(expit(-margin), rel=1e-14)
    assert math.isfinite(steepness(margin))


def test_random_indices_resume_from_the_generator_state() -> None:
    first, state = random_indices(5, 10)
    second, _ = random_indices(state, 10)
    rng = np.random.default_rng(5)
    np.testing.assert_array_equal(first, rng.integers(10, size=10))
    np.testing.assert_array_equal(second, rng.integers(10, size=10))


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_starts_at_the_same_gap_and_lowers_it(name: str) -> None:
    g, best = problem(overlapping(), 0.1)
    curve = gaps(name, overlapping(), 30, alpha=0.1)
    assert curve[-1] < 0.1 * (np.log(2) - objective(g, best))


def test_model_is_theta_for_raw_columns() -> None:
    data = overlapping()
    kind = ftml.family("newton")
    model = ftml.fit(kind.Config(alpha=0.1, tolerance=0.0), data).model
    g, theta = problem(data, 0.1)
    np.testing.assert_allclose(
        model.decision_function(data.train.X), g.X @ theta, atol=1e-8
    )
