"""Softmax regression: its gradient, scikit-learn's optimum, and how training goes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from ftml import Splits, Step, Table, fit
from ftml.families.linear.softmax_regression import (
    Config,
    Model,
    loss_and_gradient,
    train,
    train_many,
)

TIGHT = {"n_iterations": 20_000, "tolerance": 1e-10}


def table(n: int = 60, d: int = 4, k: int = 3) -> Table:
    """Return classes that overlap, so that the optimum is finite, off the origin."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = (
        rng.normal(size=(n, d)) * np.resize([1.0, 2.0, 0.5, 1.0], d)
        + np.eye(k, d)[y]
        + 0.5
    )
    return Table(X, y, classes=tuple("abcdef"[:k]))


def centred(theta: np.ndarray) -> np.ndarray:
    """Return theta less its mean over classes, which no probability depends on."""
    return theta - theta.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_gradient_equals_central_differences_in_every_coordinate(alpha: float) -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=(9, 3)), np.ones(9)])
    y, theta = np.arange(9) % 3, rng.normal(size=(4, 3))
    _, gradient = loss_and_gradient(theta, X, y, alpha=alpha)
    # Central differences err by h^2 and by eps/h: at h = 1e-5 both are near 1e-10.
    h = 1e-5
    for place in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[place] = h
        above, _ = loss_and_gradient(theta + step, X, y, alpha=alpha)
        below, _ = loss_and_gradient(theta - step, X, y, alpha=alpha)
        slope = (above - below) / (2 * h)
        assert abs(slope - gradient[place]) < 1e-6 * abs(gradient[place]), place


def test_loss_by_the_formula_of_the_notes() -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=(9, 3)), np.ones(9)])
    y, theta = np.arange(9) % 3, rng.normal(size=(4, 3))
    z = X @ theta
    terms = [logsumexp(z[i]) - z[i, y[i]] for i in range(9)]
    expected = np.mean(terms) + 0.5 * 0.2 * np.sum(theta[:-1] ** 2)
    assert loss_and_gradient(theta, X, y, alpha=0.2)[0] == pytest.approx(
        expected, rel=1e-14
    )


def test_loss_of_no_knowledge_is_the_logarithm_of_the_number_of_classes() -> None:
    X, y = np.ones((6, 2)), np.arange(6) % 3
    loss, gradient = loss_and_gradient(np.zeros((2, 3)), X, y, alpha=1.0)
    assert loss == pytest.approx(np.log(3), rel=1e-14)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-16)  # as balanced classes have it


@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize(("n", "d", "k"), [(60, 4, 3), (23, 4, 5), (20, 31, 4)])
def test_optimum_equals_that_of_scikit_learn(
    n: int, d: int, k: int, alpha: float
) -> None:
    data = table(n, d, k)
    theta = fit(Config(alpha=alpha, standardize=False, **TIGHT), data).model.theta
    oracle = LogisticRegression(
        C=1 / (len(data) * alpha), solver="newton-cg", tol=1e-10, max_iter=10_000
    ).fit(data.X, data.y)
    expected = np.vstack([oracle.coef_.T, oracle.intercept_])
    # Both stop at gradients of 1e-10; curvature is at least alpha: theta errs by 1e-7.
    np.testing.assert_allclose(centred(theta), centred(expected), rtol=1e-5, atol=1e-6)


def test_objective_never_rises_and_its_optimum_is_stationary() -> None:
    data = table()
    run = [step.metrics for step in train(Config(alpha=1e-2, **TIGHT), Splits(data))]
    objective = np.array([each["train_objective"] for each in run])
    assert objective[0] < np.log(3)
    assert (objective[1:] <= objective[:-1] + 1e-14).all()  # rounding of a sum near 1
    assert run[-1]["train_gradient"] <= TIGHT["tolerance"]


def test_metrics_are_of_the_model_that_is_yielded() -> None:
    data = table()
    for step in itertools.islice(train(Config(standardize=False), Splits(data)), 3):
        # The gradient is that of centred columns, for which the intercept is another.
        center, theta = data.X.mean(axis=0), step.model.theta.copy()
        theta[-1] += center @ theta[:-1]
        X = np.column_stack([data.X - center, np.ones(len(data))])
        loss, gradient = loss_and_gradient(theta, X, data.y, alpha=Config().alpha)
        assert step.metrics["train_objective"] == pytest.approx(loss, rel=1e-12)
        assert step.metrics["train_gradient"] == pytest.approx(
            np.abs(gradient).max(), rel=1e-9
        )


def test_standardized_model_takes_raw_features_whatever_their_unit() -> None:
    data = table()
    other = Table(
        data.X * [1e3, 1e-3, 5.0, 1.0] + [9.0, 0.0, -4.0, 1.0],
        data.y,
        classes=data.classes,
    )
    one, two = (fit(Config(n_iterations=50), each).model for each in (data, other))
    np.testing.assert_allclose(
        two.predict_proba(other.X), one.predict_proba(data.X), rtol=1e-8
    )


def test_standardized_optimum_is_that_of_standardized_features() -> None:
    data = table()
    scaled = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    config = {"alpha": 0.01, **TIGHT}
    plain = fit(
        Config(standardize=False, **config), Table(scaled, data.y, classes=data.classes)
    )
    ours = fit(Config(standardize=True, **config), data).model.predict_proba(data.X)
    np.testing.assert_allclose(ours, plain.model.predict_proba(scaled), atol=1e-7)


@given(npst.arrays("float64", (5, 3), elements=st.floats(-1e4, 1e4)))
def test_probabilities_sum_to_one_and_none_is_negative(theta: np.ndarray) -> None:
    proba = Model(theta).predict_proba(table().X)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-14)


def test_logits_of_ten_thousand_do_not_overflow() -> None:
    theta = np.array([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]])
    proba = Model(theta).predict_proba(np.array([[1.0], [-1.0]]))
    np.testing.assert_array_equal(proba, [[1, 0, 0], [0, 0, 1]])
    X = np.array([[1.0, 1.0]])
    loss, gradient = loss_and_gradient(theta, X, np.array([2]), alpha=0.0)
    assert loss == 2e4  # logsumexp(z) - z_2 = 1e4 + 1e4
    np.testing.assert_array_equal(gradient[0], [1, 0, -1])


@given(st.permutations(range(24)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    data, config = table(24), Config(n_iterations=5)
    one = fit(config, data).model.theta
    other = fit(config, data.rows(np.array(order))).model.theta
    np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


def test_names_of_the_classes_do_not_matter() -> None:
    data, config = table(), Config(n_iterations=30)
    turned = Table(data.X, (data.y + 1) % 3, classes=data.classes)
    one, other = (fit(config, each).model.theta for each in (data, turned))
    np.testing.assert_allclose(other, np.roll(one, 1, axis=1), rtol=1e-9, atol=1e-12)


def run_of(config: Config, state: dict | None = None) -> list[Step]:
    return list(train(config, Splits(table()), state))


def test_training_resumed_in_the_middle_equals_uninterrupted_training() -> None:
    config = Config(n_iterations=20, tolerance=0)
    whole = run_of(config)
    resumed = run_of(config, whole[11].state)
    assert [step.n for step in resumed] == list(range(13, 21))
    for one, other in zip(whole[12:], resumed, strict=True):
        assert one.metrics == other.metrics
        np.testing.assert_array_equal(one.model.theta, other.model.theta)


def test_training_continues_to_a_larger_number_of_iterations() -> None:
    short, long = run_of(Config(n_iterations=5)), run_of(Config(n_iterations=9))
    rest = run_of(Config(n_iterations=9), short[-1].state)
    assert [step.metrics for step in rest] == [step.metrics for step in long[5:]]


def test_training_stops_at_its_tolerance_and_then_yields_nothing_more() -> None:
    config = Config(alpha=0.1, tolerance=1e-4)
    run = run_of(config)
    sizes = [step.metrics["train_gradient"] for step in run]
    assert len(run) < config.n_iterations
    assert sizes[-1] <= 1e-4 < min(sizes[:-1])
    assert run_of(config, run[-1].state) == []


def test_training_stops_at_its_number_of_iterations_and_then_yields_nothing_more() -> (
    None
):
    config = Config(n_iterations=3, tolerance=0)
    run = run_of(config)
    assert [step.n for step in run] == [1, 2, 3]
    assert run_of(config, run[-1].state) == []


def test_class_without_a_training_sample_becomes_improbable() -> None:
    data = table()
    four = Table(data.X, data.y, classes=("a", "b", "c", "never"))
    proba = fit(Config(), four).model.predict_proba(data.X)
    assert proba.shape == (60, 4)
    assert proba[:, 3].max() < 0.05


def test_prediction_is_the_most_probable_class() -> None:
    data = table()
    model = fit(Config(), data).model
    np.testing.assert_array_equal(
        model.predict(data.X), model.predict_proba(data.X).argmax(axis=1)
    )


def test_prediction_of_the_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="X has 4 columns, the model was fitted on 2"):
        Model(np.ones((3, 3))).predict_proba(table().X)


def test_pack_of_penalties_reaches_the_optimum_of_each() -> None:
    data = Splits(table())
    configs = [
        Config(alpha=alpha, standardize=alpha < 0.05, **TIGHT)
        for alpha in (1e-3, 1e-2, 0.1, 1.0)
    ]
    last: dict[int, Step] = {}
    for steps in train_many(configs, data):
        last.update({i: step for i, step in enumerate(steps) if step})
    for i, config in enumerate(configs):
        alone = fit(config, data)
        np.testing.assert_allclose(last[i].model.theta, alone.model.theta, atol=1e-7)
        assert last[i].metrics["train_gradient"] <= TIGHT["tolerance"]


def test_member_left_out_of_a_pack_does_not_change_the_others() -> None:
    data, configs = Splits(table()), [Config(alpha=a) for a in (1e-3, 1e-2, 0.1)]
    whole = list(itertools.islice(train_many(configs, data), 6))
    states = [whole[2][i].state for i in (0, 2)]
    pruned = list(
        itertools.islice(train_many([configs[0], configs[2]], data, states), 3)
    )
    for both, all_three in zip(pruned, whole[3:], strict=True):
        for one, other in zip(both, (all_three[0], all_three[2]), strict=True):
            # Products of two and of three members may round differently.
            assert one.n == other.n
            np.testing.assert_allclose(one.model.theta, other.model.theta, rtol=1e-8)
