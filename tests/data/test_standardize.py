from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from ftml import Table, fit
from ftml.data.standardize import (
    apply_scaling,
    check_squares,
    learn_scaling,
    moments,
    standardized,
    unit_of,
)
from ftml.families.decomposition import factor_analysis, nmf, pca, ppca
from ftml.families.density import gmm_gradient, kde, nce, score_matching
from ftml.families.linear import ridge, softmax_regression


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


def test_usual_numbers_are_not_divided_by_a_unit() -> None:
    X = np.array([[0.0, 1e-130, 5.0], [0.0, 1e130, np.pi]])
    assert unit_of(X).tolist() == [1.0, 1.0, 1.0]
    mean, scale = moments(X)
    np.testing.assert_array_equal(mean, X.mean(axis=0))
    np.testing.assert_array_equal(scale[1:], X.std(axis=0)[1:])


@pytest.mark.parametrize("factor", [2.0**-1030, 2.0**-700, 2.0**700, 2.0**1022])
def test_moments_of_extreme_numbers_are_those_of_usual_ones(factor: float) -> None:
    X = np.array([[-1.75, 1.0], [1.5, 1.0], [1.0, 1.0], [-0.25, 1.0]])
    extreme = np.column_stack([X[:, 0] * factor, X[:, 1]])
    with np.errstate(all="raise", under="ignore"):
        mean, scale = moments(extreme)
        found = standardized(extreme, mean, scale, names="ab")
        scaled = apply_scaling(extreme / 4, learn_scaling(extreme / 4))
    expected = standardized(X, *moments(X), names="ab")
    # Below 2^-1022, doubles have fewer digits.
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(scaled, expected, rtol=1e-12)


def test_a_number_that_cannot_be_scaled_is_named() -> None:
    mean, scale = moments(np.array([[0.0], [1e-200]]))
    with pytest.raises(ValueError, match=r"feature a, row 2: 1e\+200 is too far from"):
        standardized(np.array([[0.0], [1e200]]), mean, scale, names=["a"])


@pytest.mark.parametrize("factor", [1e-170, 1e160])
def test_columns_whose_squares_are_no_doubles_are_named(factor: float) -> None:
    X = np.array([[1.0, -3.0], [2.0, 0.0]])
    with pytest.raises(ValueError, match=r"column b has values up to 3e.*scale: true"):
        check_squares(X * factor, ("a", "b"))
    with pytest.raises(ValueError, match=r"column 1 has values up to 3e"):
        check_squares(X * factor)
    check_squares(X, ("a", "b"))
    check_squares(X * [1e-170, 1.0], ("a", "b"))  # it has no part in any variance
    check_squares(X * 0.0)


@pytest.mark.parametrize("factor", [1e-170, 1e160])
@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (pca, {}),
        (ppca, {"n_components": 1}),
        (nmf, {}),
        (factor_analysis, {"n_components": 1}),
        (ridge, {"standardize": False}),
        (softmax_regression, {"standardize": False}),
    ],
)
def test_a_family_that_squares_columns_as_they_are_refuses_such_columns(
    module: Any, settings: dict, factor: float
) -> None:
    X = factor * np.random.default_rng(0).random((12, 3))
    y = np.arange(12) % 2
    data = Table(X, y, classes=("a", "b"))
    if module is ridge:
        data = Table(X, y.astype(float))
    with pytest.raises(ValueError, match=r"column x\d has values up to"):
        fit(module.Config(**settings), data)


@pytest.mark.parametrize("factor", [5e-324, 1e-308])
def test_column_whose_deviation_has_no_inverse_is_refused(factor: float) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2)) * [1.0, factor]
    y = np.arange(20) % 2
    refused = pytest.raises(ValueError, match="column 1, counted from 0, has a standar")
    for family in (ridge, kde, nce, score_matching, gmm_gradient):
        with refused:
            fit(family.Config(), Table(X, y * 1.0))
    with refused:
        fit(softmax_regression.Config(), Table(X, y, classes=("a", "b")))
