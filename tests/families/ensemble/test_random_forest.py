"""The forest as arrays: scikit-learn's predictions, and the mean of its trees."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier

from ftml import Table, fit
from ftml.families.ensemble._trees import Trees, generator
from ftml.families.ensemble.random_forest import Config

X, Y = load_wine(return_X_y=True)
TEN = tuple("0123456789")
WINE = Table(X, Y, classes=("a", "b", "c"))
DIGITS = Table(*(each[:50] for each in load_digits(return_X_y=True)), classes=TEN)
SMALL = Config(n_trees=12, max_depth=4, seed=3)


@pytest.mark.parametrize("data", [WINE, DIGITS], ids=["wine", "n < d"])
def test_probabilities_equal_those_of_scikit_learn(data: Table) -> None:
    oracle = RandomForestClassifier(12, max_depth=4, random_state=generator(3))
    expected = oracle.fit(data.X, data.y).predict_proba(data.X)
    # Their mean adds in another order.
    np.testing.assert_allclose(
        fit(SMALL, data).model.predict_proba(data.X), expected, atol=1e-14
    )


def test_probabilities_are_the_mean_of_those_of_the_trees() -> None:
    model = fit(SMALL, WINE).model
    shares = Trees(**model.trees).shares(X)
    assert shares.shape == (12, 178, 3)
    np.testing.assert_allclose(shares.sum(axis=2), 1.0, rtol=1e-14)
    np.testing.assert_allclose(model.predict_proba(X), sum(shares) / 12, rtol=1e-14)


def test_another_seed_grows_other_trees() -> None:
    other = Config(n_trees=12, max_depth=4, seed=4)
    one, two = (fit(each, WINE).model.predict_proba(X) for each in (SMALL, other))
    assert np.abs(one - two).max() > 0.01


def test_class_that_training_has_not_seen_has_no_share() -> None:
    data = Table(X, np.where(Y == 1, 3, Y), classes=("a", "never", "c", "b"))
    proba = fit(SMALL, data).model.predict_proba(X)
    np.testing.assert_array_equal(proba[:, 1], 0.0)
    expected = fit(SMALL, WINE).model.predict_proba(X)
    np.testing.assert_allclose(proba[:, [0, 3, 2]], expected, atol=0.2)
