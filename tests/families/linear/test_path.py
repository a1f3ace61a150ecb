"""Regularisation paths against one fit after another, and L-BFGS on a quadratic."""

from __future__ import annotations

import numpy as np
import pytest

from ftml import Table, fit
from ftml.families.linear import _lbfgs, logistic_regression, softmax_regression

ALPHAS = np.array([1e-2, 1.0, 1e-3, 0.1, 0.1, 3e-2])
"In no order, and one of them twice."


def table(k: int) -> Table:
    rng = np.random.default_rng(0)
    y = np.arange(60) % k
    X = rng.normal(size=(60, 4)) * [1.0, 2.0, 0.5, 1.0] + np.eye(k, 4)[y] + 0.5
    return Table(X, y, classes=tuple("abc"[:k]))


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("family", "k"), [(softmax_regression, 3), (logistic_regression, 2)]
)
def test_path_holds_the_optimum_of_each_penalty(family, k, standardize: bool) -> None:
    data = table(k)
    path = family.path(data, alphas=ALPHAS, tolerance=1e-11, standardize=standardize)
    for alpha, model in zip(ALPHAS, path, strict=True):
        config = family.Config(
            alpha=alpha, standardize=standardize, n_iterations=5000, tolerance=1e-11
        )
        expected = fit(config, data).model.theta
        # Gradients of 1e-11 leave theta an error of 1e-11 / alpha <= 1e-8. No gradient
        # is along the mean of the intercepts over classes, where only rounding moves.
        shift = np.mean(model.theta[-1] - expected[-1]) * (k > 2)
        np.testing.assert_allclose(model.theta[:-1], expected[:-1], atol=1e-7)
        np.testing.assert_allclose(model.theta[-1] - shift, expected[-1], atol=1e-7)


def test_penalty_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected penalties above 0, got 0\.0"):
        softmax_regression.path(table(3), alphas=np.array([0.0, 1.0]), tolerance=1e-6)


def test_pairs_of_one_penalty_are_exact_at_another() -> None:
    # y is the difference of gradients: its part of the penalty is alpha s.
    rng = np.random.default_rng(0)
    H, one, other = np.diag([1.0, 2.0, 3.0]), rng.normal(size=3), rng.normal(size=3)
    s = other - one
    at = {alpha: (H + alpha * np.eye(3)) @ s for alpha in (0.1, 0.7)}
    np.testing.assert_allclose(at[0.1] + 0.6 * s, at[0.7])


def quadratics(matrices: np.ndarray, centres: np.ndarray) -> _lbfgs.Objective:
    """Return (theta - c)'A(theta - c) / 2 of each member."""

    def evaluate(theta: np.ndarray, members: np.ndarray) -> tuple:
        away = theta[:, 0] - centres[members]
        slope = np.einsum("bde,be->bd", matrices[members], away)
        return 0.5 * np.sum(away * slope, axis=1), slope[:, None]

    return evaluate


def test_members_of_a_batch_go_where_each_goes_alone() -> None:
    rng = np.random.default_rng(0)
    roots, centres = rng.normal(size=(3, 5, 5)), rng.normal(size=(3, 5))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(5)
    evaluate, start = quadratics(matrices, centres), np.zeros((3, 1, 5))
    batch = _lbfgs.start(start, evaluate)
    alone = [
        _lbfgs.start(start[:1], quadratics(matrices[[i]], centres[[i]]))
        for i in range(3)
    ]
    for _ in range(8):
        batch = _lbfgs.advance(batch, evaluate, lambda v: v)
        for i in range(3):
            own = quadratics(matrices[[i]], centres[[i]])
            alone[i] = _lbfgs.advance(alone[i], own, lambda v: v)
            np.testing.assert_allclose(batch.theta[i], alone[i].theta[0], rtol=1e-8)
    assert (batch.value >= 0).all()


def test_last_pair_satisfies_the_secant_equation() -> None:
    # H y = s for the newest pair, whatever else is remembered.
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    evaluate = quadratics((root @ root.T + np.eye(5))[None], rng.normal(size=(1, 5)))
    batch = _lbfgs.start(np.zeros((1, 1, 5)), evaluate)
    for _ in range(4):
        batch = _lbfgs.advance(batch, evaluate, lambda v: 0.3 * v)
    y = batch.changes[:, -1]
    product = _lbfgs._inverse_hessian_times_gradient(
        batch._replace(gradient=y), lambda v: 0.3 * v
    )
    np.testing.assert_allclose(product, batch.steps[:, -1], rtol=1e-9)


def test_optimum_of_a_quadratic_is_reached_and_kept() -> None:
    rng = np.random.default_rng(2)
    root, centre = rng.normal(size=(5, 5)), rng.normal(size=(1, 5))
    evaluate = quadratics((root @ root.T + np.eye(5))[None], centre)
    batch = _lbfgs.start(np.zeros((1, 1, 5)), evaluate)
    for _ in range(60):  # far beyond the optimum: nothing divides by zero
        batch = _lbfgs.advance(batch, evaluate, lambda v: v)
    np.testing.assert_allclose(batch.theta[0], centre, atol=1e-8)
