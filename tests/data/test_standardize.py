from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from ftml.data.standardize import apply_scaling, learn_scaling


def test_scaling_agrees_with_scikit_learn_where_nothing_is_missing() -> None:
    X = np.random.default_rng(0).normal(3.0, 5.0, (50, 4))
    np.testing.assert_allclose(
        apply_scaling(X, learn_scaling(X)),
        StandardScaler().fit_transform(X),
        atol=1e-13,
    )


def test_missing_value_becomes_the_median_of_the_training_rows() -> None:
    train = np.array([[1.0], [2.0], [9.0], [np.nan]])
    scaling = learn_scaling(train)
    assert scaling.fill == [2.0]
    filled, median = np.array([[np.nan], [2.0]])
    np.testing.assert_array_equal(
        apply_scaling(filled[None], scaling), apply_scaling(median[None], scaling)
    )


def test_scale_counts_the_filled_values() -> None:
    scaling = learn_scaling(np.array([[1.0], [2.0], [9.0], [np.nan]]))
    assert scaling.center == [14 / 4]
    np.testing.assert_allclose(scaling.scale, np.std([1.0, 2.0, 9.0, 2.0]), rtol=1e-15)


def test_constant_and_empty_columns_become_zero() -> None:
    X = np.array([[0.1, np.nan], [0.1, np.nan], [0.1, np.nan]])
    scaling = learn_scaling(X)
    np.testing.assert_array_equal(scaling.scale, [1.0, 1.0])
    np.testing.assert_allclose(apply_scaling(X, scaling), np.zeros((3, 2)), atol=1e-16)


def test_argument_is_left_alone() -> None:
    X = np.array([[1.0, np.nan], [2.0, 3.0]])
    before = X.copy()
    apply_scaling(X, learn_scaling(X))
    np.testing.assert_array_equal(X, before)
