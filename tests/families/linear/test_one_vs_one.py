"""One against one: its members one by one, votes by hand, and scikit-learn's."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier

from ftml import Splits, Table, fit
from ftml.families.linear import logistic_regression
from ftml.families.linear.one_vs_one import Config, Model, number_of_classes, train

TIGHT = {"n_iterations": 5000, "tolerance": 1e-9}


def table(n: int = 60, k: int = 3) -> Table:
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = rng.normal(size=(n, 4)) + 2.5 * np.eye(k, 4)[y]
    return Table(X, y, classes=tuple("abcdef"[:k]))


def test_ten_classes_have_forty_five_members() -> None:
    X, y = load_digits(return_X_y=True)
    digits = Table(X[:200], y[:200], classes=tuple("0123456789"))
    model = fit(Config(settings={"n_iterations": 2}), digits).model
    assert len(model.members) == 45
    assert model.predict_proba(X[:3]).shape == (3, 10)


def test_every_member_is_the_family_on_the_rows_of_its_pair() -> None:
    data = table(k=4)
    model = fit(Config(alpha=0.02), data).model
    for fields, (i, j) in zip(model.members, combinations(range(4), 2), strict=True):
        rows = (data.y == i) | (data.y == j)
        own = Table(data.X[rows], (data.y[rows] == j).astype(int), classes=("i", "j"))
        alone = fit(logistic_regression.Config(alpha=0.02), own).model
        np.testing.assert_array_equal(fields["theta"], alone.theta)


def test_votes_of_three_members_by_hand() -> None:
    thetas = (np.array([1.0, 0.0]), np.array([0.0, 2.0]), np.array([-1.0, 0.5]))
    model = Model("logistic_regression", [{"theta": theta} for theta in thetas])
    s01, s02, s12 = expit(1.0), expit(2.0), expit(-0.5)
    expected = [(1 - s01) + (1 - s02), s01 + (1 - s12), s02 + s12]
    np.testing.assert_allclose(
        model.predict_proba(np.ones((1, 1)))[0], np.array(expected) / 3
    )


@pytest.mark.parametrize(("n", "k"), [(60, 3), (32, 4)])
def test_classes_equal_those_of_scikit_learn_where_one_wins_all_its_pairs(
    n: int, k: int
) -> None:
    data, alpha = table(n, k), 0.02
    # Its members see only two classes of n / k rows each, as ours do.
    C = 1 / (2 * n / k * alpha)
    oracle = OneVsOneClassifier(LogisticRegression(C=C, tol=1e-10))
    oracle.fit(data.X, data.y)
    config = Config(alpha=alpha, settings={"standardize": False, **TIGHT})
    model = fit(config, data).model
    for fields, theirs in zip(model.members, oracle.estimators_, strict=True):
        expected = np.append(theirs.coef_[0], theirs.intercept_)
        np.testing.assert_allclose(fields["theta"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.predict(data.X), oracle.predict(data.X))


@pytest.mark.parametrize("k", range(2, 60))
def test_number_of_classes_is_recovered_from_the_number_of_pairs(k: int) -> None:
    assert number_of_classes(k * (k - 1) // 2) == k


def test_probabilities_sum_to_one() -> None:
    data = table(k=4)
    proba = fit(Config(binary="linear_svm"), data).model.predict_proba(data.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-14)


def test_two_classes_without_rows_are_named() -> None:
    data = Table(np.ones((4, 1)), np.array([0, 1, 0, 1]), classes=tuple("abcd"))
    with pytest.raises(ValueError, match="the classes c and d have no rows"):
        list(train(Config(), Splits(data)))
