"""The tree as arrays: scikit-learn's predictions, and one tree by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_wine
from sklearn.tree import DecisionTreeClassifier

from ftml import Table, fit
from ftml.families.ensemble._trees import Trees, generator, together
from ftml.families.ensemble.decision_tree import Config, Model

STUMP = Trees(
    n_features=2,
    depth=1,
    root=np.array([0]),
    left=np.array([1, 1, 2]),
    right=np.array([2, 1, 2]),
    feature=np.array([1, 0, 0]),
    threshold=np.array([0.5, 0.0, 0.0]),
    value=np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]),
)
"The second feature at most 0.5: shares .9 and .1; above it .2 and .8."


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_probabilities_are_bit_identical_to_those_of_scikit_learn(depth: int) -> None:
    X, y = load_digits(return_X_y=True)
    data = Table(X[:900], y[:900], classes=tuple("0123456789"))
    config = Config(max_depth=depth, min_samples_leaf=3, seed=5)
    oracle = DecisionTreeClassifier(
        max_depth=depth, min_samples_leaf=3, random_state=generator(5)
    ).fit(X[:900], y[:900])
    ours = fit(config, data).model.predict_proba(X[900:])
    np.testing.assert_allclose(ours, oracle.predict_proba(X[900:]), rtol=1e-15)


def test_values_beside_a_threshold_fall_on_the_side_of_scikit_learn() -> None:
    X, y = load_wine(return_X_y=True)
    model = fit(Config(), Table(X, y, classes=("a", "b", "c"))).model
    oracle = DecisionTreeClassifier(max_depth=8, random_state=generator(0)).fit(X, y)
    threshold = oracle.tree_.threshold[0]
    near = np.repeat(X[:1], 3, axis=0)
    near[:, oracle.tree_.feature[0]] = np.nextafter(threshold, [-np.inf, 0, np.inf])
    np.testing.assert_array_equal(model.predict_proba(near), oracle.predict_proba(near))


def test_stump_by_hand() -> None:
    model = Model(asdict(STUMP))
    proba = model.predict_proba(np.array([[9.0, 0.5], [-9.0, 0.6]]))
    np.testing.assert_array_equal(proba, [[0.9, 0.1], [0.2, 0.8]])
    np.testing.assert_array_equal(model.predict(np.array([[0.0, 0.7]])), [1])


def test_trees_put_together_are_applied_one_by_one() -> None:
    both = together(STUMP, together(STUMP, STUMP))
    X = np.array([[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(both.shares(X), np.repeat(STUMP.shares(X), 3, axis=0))


@given(st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_stretch_and_shift_of_a_feature_do_not_matter(scale: float, by: float) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)).round(2), np.arange(40) % 2
    one = fit(Config(max_depth=2), Table(X, y, classes=("a", "b"))).model
    other = Table(X * scale + by, y, classes=("a", "b"))
    np.testing.assert_array_equal(
        fit(Config(max_depth=2), other).model.predict(other.X), one.predict(X)
    )


def test_deep_tree_knows_its_training_samples() -> None:
    X, y = load_wine(return_X_y=True)
    run = fit(Config(max_depth=30), Table(X, y, classes=("a", "b", "c")))
    assert run.metrics == {"train_accuracy": 1.0}


def test_table_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a table with classes"):
        fit(Config(), Table(np.ones((3, 1)), np.zeros(3)))
