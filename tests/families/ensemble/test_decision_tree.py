"""The tree as arrays: scikit-learn's predictions, and one tree by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_wine
from sklearn.tree import DecisionTreeClassifier

from ftml import Table, fit
from ftml.config import FamilyConfig
from ftml.families.ensemble import _trees, adaboost, decision_tree, random_forest
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
@pytest.mark.parametrize("load", [load_digits, load_wine])
def test_probabilities_are_bit_identical_to_those_of_scikit_learn(
    load: Callable[..., tuple[np.ndarray, np.ndarray]], depth: int
) -> None:
    X, y = load(return_X_y=True)
    data = Table(X[::2], y[::2], classes=tuple("0123456789"[: y.max() + 1]))
    config = Config(max_depth=depth, min_samples_leaf=3, seed=5)
    oracle = DecisionTreeClassifier(
        max_depth=depth, min_samples_leaf=3, random_state=generator(5)
    ).fit(X[::2], y[::2])
    ours = fit(config, data).model.predict_proba(X[1::2])
    np.testing.assert_allclose(ours, oracle.predict_proba(X[1::2]), rtol=1e-15)


def separated(unit: float, offset: float) -> Table:
    """Return two classes that the first column separates, by five units."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.integers(0, 6, size=(40, 2)) + np.outer(y, [10, 0])
    return Table(X * [unit, 1.0] + [offset, 0.0], y, classes=("a", "b"))


FAMILIES = [
    decision_tree.Config(),
    random_forest.Config(n_trees=5),
    adaboost.Config(n_rounds=5, max_depth=2),
]


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: type(c).__module__[23:])
@pytest.mark.parametrize(
    ("unit", "offset"),
    [(1e-8, 0.0), (1e-200, 0.0), (1e200, 0.0), (10.0, 1.7e9), (2.0**-20, 1e6)],
)
def test_unit_and_offset_of_a_column_do_not_matter(
    config: FamilyConfig, unit: float, offset: float
) -> None:
    one, other = separated(1.0, 0.0), separated(unit, offset)
    np.testing.assert_array_equal(
        fit(config, other).model.predict_proba(other.X),
        fit(config, one).model.predict_proba(one.X),
    )


def test_outlier_does_not_hide_the_other_values() -> None:
    data = separated(1.0, 0.5)
    data.X[0] = 1e300
    assert fit(Config(), data).metrics == {"train_accuracy": 1.0}


def test_threshold_is_in_the_middle_between_the_values_of_its_node() -> None:
    # The values 4 and 6 are on the other side of the first split.
    X = np.array([[0.1, 0.1], [10.1, 0.1], [4.0, 9.1], [6.0, 9.1]] * 2)
    data = Table(X, np.array([0, 1, 2, 2] * 2), classes=("a", "b", "c"))
    trees = Trees(**fit(Config(), data).model.trees)
    thresholds = trees.threshold[trees.left != np.arange(len(trees.left))]
    assert set(thresholds) <= {4.6, 0.1 / 2 + 10.1 / 2, 2.05, 8.05}
    assert 0.1 / 2 + 10.1 / 2 in thresholds


def test_neighbouring_numbers_fall_on_their_own_sides() -> None:
    X = np.array([[1.0], [np.nextafter(1.0, 2.0)]])
    data = Table(X, np.array([0, 1]), classes=("a", "b"))
    assert fit(Config(), data).model.predict(X).tolist() == [0, 1]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_blocks_of_rows_are_the_whole(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = separated(1.0, 0.0)
    models = [fit(config, data).model for config in FAMILIES[1:]]
    expected = [model.predict_proba(data.X) for model in models]
    monkeypatch.setattr(_trees, "BLOCK", size)
    for model, whole in zip(models, expected, strict=True):
        np.testing.assert_array_equal(model.predict_proba(data.X), whole)


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


@pytest.mark.parametrize(
    "config",
    [Config(), random_forest.Config(n_trees=2), adaboost.Config(n_rounds=1)],
    ids=lambda config: type(config).__module__,
)
def test_many_classes_of_few_rows_give_no_warning(config: FamilyConfig) -> None:
    y = np.arange(45) % 30
    data = Table(y[:, None] * 1.0, y, classes=tuple(map(str, range(30))))
    assert fit(config, data).model.predict_proba(data.X).shape == (45, 30)
