"""Multi-class boosting against scikit-learn, its loss by hand, and how it ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from ftml import Splits, Table, fit
from ftml.families.ensemble.adaboost import (
    Config,
    Model,
    learner_weight,
    reweighted,
    train,
)

WINE = load_wine(return_X_y=True)


def wine() -> Table:
    return Table(*WINE, classes=("a", "b", "c"))


def loss_by_its_definition(g: np.ndarray, y: np.ndarray) -> float:
    k = g.shape[1]
    terms = []
    for i, label in enumerate(y):
        others = sum(g[i, j] for j in range(k) if j != label)
        terms.append(np.exp(others / (k - 1) - g[i, label]))
    return float(np.mean(terms))


CANCER = load_breast_cancer(return_X_y=True)


@pytest.mark.parametrize(("data", "k"), [(WINE, 3), (CANCER, 2)])
def test_weights_are_a_fixed_part_of_those_of_scikit_learn_in_every_round(
    data: tuple[np.ndarray, np.ndarray], k: int
) -> None:
    X, y = data
    stump = DecisionTreeClassifier(max_depth=1)
    oracle = AdaBoostClassifier(stump, n_estimators=15, random_state=0).fit(X, y)
    table = Table(X, y, classes=("a", "b", "c")[:k])
    steps = list(train(Config(n_rounds=15), Splits(table)))
    model = steps[-1].model
    ratio = model.alpha / oracle.estimator_weights_
    np.testing.assert_allclose(ratio, (k - 1) / k, rtol=1e-12)
    errors = [step.metrics["train_weighted_error"] for step in steps]
    np.testing.assert_allclose(errors, oracle.estimator_errors_, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), oracle.predict(X))
    if k == 3:
        assert np.mean(model.predict(X) != y) == 1 / 178  # families.md, 1.10-C


def test_deeper_trees_reach_the_accuracy_of_scikit_learn_on_digits() -> None:
    X, y = load_digits(return_X_y=True)
    data = Table(X[:900], y[:900], classes=tuple("0123456789"))
    model = fit(Config(n_rounds=30, max_depth=2), data).model
    tree = DecisionTreeClassifier(max_depth=2)
    oracle = AdaBoostClassifier(tree, n_estimators=30, random_state=0)
    theirs = oracle.fit(X[:900], y[:900]).score(X[900:], y[900:])
    # Ties between pixels are broken by other random numbers: 2 points on 897 images.
    assert np.mean(model.predict(X[900:]) == y[900:]) > theirs - 0.02


def test_loss_is_that_of_its_definition_and_falls_every_round() -> None:
    data = wine()
    losses = []
    for step in itertools.islice(train(Config(), Splits(data)), 8):
        losses.append(step.metrics["train_loss"])
        expected = loss_by_its_definition(step.model.scores(data.X), data.y)
        assert losses[-1] == pytest.approx(expected, rel=1e-12)
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < 1


def test_weights_of_the_samples_are_their_parts_of_the_loss() -> None:
    data = wine()
    *_, step = itertools.islice(train(Config(), Splits(data)), 5)
    g = step.model.scores(data.X)
    terms = np.exp((g.sum(axis=1) - g[np.arange(178), data.y]) / 2)
    terms *= np.exp(-g[np.arange(178), data.y])
    np.testing.assert_allclose(step.state["D"], terms / terms.sum(), rtol=1e-11)


@given(st.floats(0.01, 0.99), st.integers(2, 10))
def test_weight_is_the_minimiser_of_the_loss_along_a_learner(
    share: float, k: int
) -> None:
    error = share * (1 - 1 / k)
    alpha = learner_weight(error, k)
    rise, fall = error * np.exp(alpha / (k - 1)), (1 - error) * np.exp(-alpha)
    # Its derivative is rise / (k - 1) - fall, its second one positive.
    assert rise / (k - 1) == pytest.approx(fall, rel=1e-12)
    assert alpha > 0


def test_weight_of_two_classes_is_that_of_adaboost() -> None:
    assert learner_weight(0.2, 2) == pytest.approx(0.5 * np.log(0.8 / 0.2))


def test_after_a_round_its_learner_is_as_good_as_chance() -> None:
    D, wrong = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 0, 1, 0], bool)
    after = reweighted(D, wrong, alpha=learner_weight(0.4, 3), k=3)
    assert after @ wrong == pytest.approx(2 / 3)
    assert after.sum() == pytest.approx(1.0)


def test_learner_without_a_mistake_ends_training() -> None:
    data = Table(np.array([[0.0], [1.0]]), np.array([0, 1]), classes=("a", "b"))
    (step,) = train(Config(), Splits(data))
    np.testing.assert_array_equal(step.model.predict(data.X), [0, 1])
    assert step.model.alpha == [0.5]
    assert list(train(Config(), Splits(data), step.state)) == []


def test_learner_no_better_than_chance_has_no_weight_and_ends_training() -> None:
    data = Table(np.ones((4, 1)), np.array([0, 1, 0, 1]), classes=("a", "b"))
    (step,) = train(Config(), Splits(data))
    np.testing.assert_array_equal(step.model.predict_proba(data.X), 0.5)


def test_probabilities_are_those_that_the_loss_is_least_for() -> None:
    # One x with the distribution p: the expected loss has its least value at g of p.
    model = fit(Config(n_rounds=5), wine()).model
    p = model.predict_proba(WINE[0][:1])[0]
    g = model.scores(WINE[0][:1])[0]

    def expected_loss(g: np.ndarray) -> float:
        return sum(p[y] * np.exp((g.sum() - g[y]) / 2 - g[y]) for y in range(3))

    for step in 1e-4 * np.vstack([np.eye(3), -np.eye(3)]):
        assert expected_loss(g + step) >= expected_loss(g) * (1 - 1e-14)


def test_class_that_training_has_not_seen_is_never_predicted() -> None:
    X, y = WINE
    data = Table(X, np.where(y == 1, 3, y), classes=("a", "never", "c", "b"))
    model: Model = fit(Config(n_rounds=5), data).model
    assert model.predict_proba(X).shape == (178, 4)
    assert 1 not in model.predict(X)
