"""Scores of whole ridge paths against scikit-learn's searches and plain refits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold

from ftml import Splits, Table, fit
from ftml.families.linear._ridge_scores import fold_errors, leave_one_out_errors
from ftml.families.linear.ridge import Config, ridge_path, solve_ridge, train_many

DIABETES = load_diabetes(return_X_y=True)


def test_table_of_fifty_penalties_and_five_folds_equals_that_of_a_grid_search() -> None:
    X, y = DIABETES
    penalties = np.logspace(-4, 3, 50)
    splits = list(KFold(5, shuffle=True, random_state=0).split(X))
    search = GridSearchCV(
        Ridge(), {"alpha": penalties}, cv=splits, scoring="neg_mean_squared_error"
    ).fit(X, y)
    results = search.cv_results_
    expected = -np.stack([results[f"split{f}_test_score"] for f in range(5)])
    folds = np.empty(len(y), int)
    for f, (_, rows) in enumerate(splits):
        folds[rows] = f
    rest = np.array([[len(train)] for train, _ in splits])
    table = fold_errors(X, y, alphas=penalties / rest, folds=folds)
    np.testing.assert_allclose(table, expected, rtol=1e-10)
    assert table.mean(axis=0).argmin() == search.best_index_


def test_error_of_each_row_left_out_equals_that_of_its_refit() -> None:
    rng = np.random.default_rng(0)
    X, alpha = rng.normal(size=(15, 3)) + 4.0, 0.2
    y = X @ [1.0, -1.0, 0.5] + rng.normal(size=15)
    errors = []
    for i in range(15):
        rest = np.arange(15) != i
        refit = Ridge(alpha=15 * alpha).fit(X[rest], y[rest])
        errors.append((y[i] - refit.predict(X[[i]])[0]) ** 2)
    ours = leave_one_out_errors(X, y, alphas=np.array([alpha]))
    np.testing.assert_allclose(ours, [np.mean(errors)], rtol=1e-11)


def test_leaving_one_out_equals_that_of_ridge_cv() -> None:
    X, y = DIABETES
    penalties = np.logspace(-4, 3, 20)
    oracle = RidgeCV(penalties, store_cv_results=True).fit(X, y)
    ours = leave_one_out_errors(X, y, alphas=penalties / len(y))
    np.testing.assert_allclose(ours, oracle.cv_results_.mean(axis=0), rtol=1e-10)
    assert penalties[ours.argmin()] == oracle.alpha_


@pytest.mark.parametrize(("n", "d"), [(40, 5), (8, 15), (10, 10)])
def test_path_equals_one_solution_after_another(n: int, d: int) -> None:
    rng = np.random.default_rng(d)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    alphas = np.logspace(-4, 3, 9)
    path = ridge_path(X, y, alphas=alphas)
    for theta, alpha in zip(path, alphas, strict=True):
        # At n = d and the least penalty the condition number is 1e5.
        expected = solve_ridge(X, y, alpha=alpha)
        assert np.linalg.norm(theta - expected) <= 1e-10 * np.linalg.norm(expected)


def test_pack_holds_any_penalty_and_either_scaling() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)) * [1.0, 10.0, 0.1, 1.0]
    data = Splits(Table(X, X @ np.ones(4) + rng.normal(size=30)))
    configs = [
        Config(alpha=alpha, standardize=standardize)
        for alpha in (0.0, 1e-3, 10.0)
        for standardize in (True, False)
    ]
    (steps,) = train_many(configs, data)
    for step, config in zip(steps, configs, strict=True):
        alone = fit(config, data).model.theta
        np.testing.assert_allclose(step.model.theta, alone, rtol=1e-10)
    assert list(train_many(configs, data, [step.state for step in steps])) == []
