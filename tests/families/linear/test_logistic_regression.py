"""Logistic regression against scikit-learn, by its gradient, and as a softmax."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from ftml import Splits, Table, fit
from ftml.families.linear import softmax_regression
from ftml.families.linear._penalised import make_problem, objective, preconditioner
from ftml.families.linear.logistic_regression import (
    Config,
    Model,
    logistic_loss,
    train,
    train_many,
)

TIGHT = {"n_iterations": 20_000, "tolerance": 1e-10}


def table(n: int = 60, d: int = 4) -> Table:
    """Return two classes that overlap, in columns of different scales."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = (
        rng.normal(size=(n, d)) * np.resize([1.0, 20.0, 0.05, 1.0], d)
        + 0.7 * y[:, None]
        + 0.5
    )
    return Table(X, y, classes=("no", "yes"))


@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize(("n", "d"), [(60, 4), (25, 4), (20, 33)])
def test_optimum_equals_that_of_scikit_learn(n: int, d: int, alpha: float) -> None:
    data = table(n, d)
    theta = fit(Config(alpha=alpha, standardize=False, **TIGHT), data).model.theta
    oracle = LogisticRegression(
        C=1 / (len(data) * alpha), solver="newton-cholesky", tol=1e-10, max_iter=1000
    ).fit(data.X, data.y)
    expected = np.append(oracle.coef_[0], oracle.intercept_)
    np.testing.assert_allclose(theta, expected, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_gradient_equals_central_differences_in_every_coordinate(alpha: float) -> None:
    data, rng = table(9), np.random.default_rng(1)
    problem = make_problem(
        data, logistic_loss(2.0 * data.y - 1.0), bound=0.25, standardize=True
    )
    evaluate = objective(problem, np.array([alpha]))
    theta, only = rng.normal(size=(1, 1, 5)), np.array([0])
    _, gradient = evaluate(theta, only)
    h = 1e-5  # the truncation h^2 and the rounding eps/h are both near 1e-10
    for place in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[place] = h
        above, below = evaluate(theta + step, only)[0], evaluate(theta - step, only)[0]
        slope = ((above - below) / (2 * h)).item()
        assert abs(slope - gradient[place]) < 1e-6 * abs(gradient[place]), place


def test_it_is_softmax_regression_of_two_classes_with_twice_the_penalty() -> None:
    # The softmax's two columns are w/2 and -w/2: their squares sum to |w|^2 / 2.
    data = table()
    ours = fit(Config(alpha=0.05, **TIGHT), data).model
    softmax = fit(softmax_regression.Config(alpha=0.1, **TIGHT), data).model
    np.testing.assert_allclose(
        ours.predict_proba(data.X), softmax.predict_proba(data.X), atol=1e-7
    )


def test_minimiser_of_the_surrogate_has_the_sign_of_the_bayes_rule() -> None:
    # Three points, each its own column: the score of each is free of the others.
    counts = {0: (1, 4), 1: (3, 2), 2: (5, 1)}
    X = np.concatenate([np.tile(np.eye(3)[j], (sum(c), 1)) for j, c in counts.items()])
    y = np.concatenate([np.repeat([0, 1], c) for c in counts.values()])
    data = Table(X, y, classes=("no", "yes"))
    model = fit(Config(alpha=0.0, **TIGHT), data).model
    np.testing.assert_array_equal(model.predict(np.eye(3)), [1, 0, 0])
    expected = [c[1] / sum(c) for c in counts.values()]
    np.testing.assert_allclose(
        model.predict_proba(np.eye(3))[:, 1], expected, atol=1e-8
    )


def test_pack_of_penalties_reaches_the_optimum_of_each() -> None:
    data = Splits(table())
    configs = [Config(alpha=alpha, **TIGHT) for alpha in (1e-3, 1e-2, 0.1, 1.0)]
    last = {}
    for steps in train_many(configs, data):
        last.update({i: step for i, step in enumerate(steps) if step})
    for i, config in enumerate(configs):
        alone = fit(config, data).model.theta
        np.testing.assert_allclose(last[i].model.theta, alone, rtol=1e-6)


@pytest.mark.parametrize("shape", [(12, 40), (12, 12), (40, 12)])
def test_preconditioner_is_the_inverse_of_the_damped_bound(
    shape: tuple[int, int],
) -> None:
    n, d = shape
    rng, alpha = np.random.default_rng(0), np.array([0.0, 1e-3, 2.0])
    data = Table(rng.normal(size=shape), np.arange(n) % 2, classes=("no", "yes"))
    problem = make_problem(
        data, logistic_loss(2.0 * data.y - 1.0), bound=0.25, standardize=True
    )
    v = rng.normal(size=(3, 1, d + 1))
    found = preconditioner(problem, alpha)(v)
    S = problem.X[:, :-1].T @ problem.X[:, :-1] / n
    for a, one, other in zip(alpha, v, found, strict=True):
        H = 0.25 * S + (np.trace(S) / d + a) * np.eye(d)
        np.testing.assert_allclose(other[0, :-1], np.linalg.solve(H, one[0, :-1]))
        assert other[0, -1] == 4.0 * one[0, -1]


def test_more_columns_than_rows_take_no_array_of_pairs_of_columns() -> None:
    n, d = 10, 3000
    data = table(n, d)
    tracemalloc.start()
    fit(Config(n_iterations=3), data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * d**2 / 4


@given(st.integers(0, 3), st.floats(1e-3, 1e3))
def test_unit_of_a_feature_does_not_matter(column: int, unit: float) -> None:
    data, config = table(24), Config(n_iterations=5)
    X = data.X.copy()
    X[:, column] *= unit
    other = Table(X, data.y, classes=data.classes)
    one, two = (fit(config, each).model for each in (data, other))
    np.testing.assert_allclose(
        two.predict_proba(X), one.predict_proba(data.X), rtol=1e-7, atol=1e-12
    )


def test_data_of_three_classes_is_refused() -> None:
    three = Table(np.ones((3, 2)), np.arange(3), classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="expected 2 classes, the data has 3"):
        list(train(Config(), Splits(three)))


def test_scores_of_ten_thousand_do_not_overflow() -> None:
    model = Model(np.array([1e4, 0.0]))
    np.testing.assert_array_equal(
        model.predict_proba(np.array([[1.0], [-1.0]])), [[0, 1], [1, 0]]
    )
    value, residual = logistic_loss(np.array([1.0]))(np.array([[[-1e4]]]))
    assert (value.item(), residual.item()) == (1e4, -1.0)
