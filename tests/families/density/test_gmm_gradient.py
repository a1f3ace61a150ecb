"""The gradients of a mixture, each coordinate, and where descent ends."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from ftml import Table, fit
from ftml.families.density import gmm, gmm_gradient
from ftml.families.density.gmm_gradient import Parameters, flat, shaped

IRIS = load_iris().data


def some_numbers(R: int, k: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    U = np.triu(0.3 * rng.normal(size=(R, k, d, d)), 1)
    U += np.eye(d) * np.exp(0.2 * rng.normal(size=(R, k, 1, d)))
    return flat(Parameters(rng.normal(size=(R, k)), rng.normal(size=(R, k, d)), U))


@pytest.mark.parametrize(("n", "d", "k"), [(20, 3, 3), (3, 5, 2), (7, 1, 4)])
def test_every_coordinate_of_the_gradient_by_central_differences(
    n: int, d: int, k: int
) -> None:
    X = np.random.default_rng(1).normal(size=(n, d))
    theta = some_numbers(2, k, d)
    _, gradient = gmm_gradient.loss_and_gradient(theta, X, k=k, penalty=0.01)
    eps = 1e-5

    def loss(at: np.ndarray) -> np.ndarray:
        return gmm_gradient.loss_and_gradient(at, X, k=k, penalty=0.01)[0]

    numeric = np.stack(
        [
            (loss(theta + eps * e) - loss(theta - eps * e)) / (2 * eps)
            for e in np.eye(theta.shape[1])
        ],
        axis=1,
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_numbers_and_parameters_are_one_to_one() -> None:
    theta = some_numbers(2, 3, 4)
    np.testing.assert_allclose(flat(shaped(theta, k=3, d=4)), theta, rtol=1e-14)


@pytest.mark.parametrize("k", [1, 3])
def test_descent_ends_within_a_twentieth_of_a_nat_of_em(k: int) -> None:
    by_gradient = fit(gmm_gradient.Config(n_components=k, penalty=1e-6), Table(IRIS))
    by_em = fit(gmm.Config(n_components=k, tolerance=1e-9), Table(IRIS))
    assert by_gradient.model.log_density(IRIS).mean() == pytest.approx(
        by_em.model.log_density(IRIS).mean(), abs=0.05
    )
    assert by_gradient.metrics["train_gradient"] < 1e-3


@pytest.mark.parametrize("apart", [10.0, 1e3, 1e4])
def test_penalty_is_below_the_variance_of_components_at_any_distance(
    apart: float,
) -> None:
    label = np.arange(60) % 2
    X = np.random.default_rng(0).normal(size=(60, 1)) + apart * label[:, None]
    model = fit(gmm_gradient.Config(n_components=2), Table(X)).model
    order = np.argsort(model.means[:, 0])
    expected = [X[label == j].var() for j in (0, 1)]
    found = model.covariances[order, 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_objective_is_the_loss_of_the_rows_in_their_own_units() -> None:
    step = fit(gmm_gradient.Config(n_components=2, penalty=1e-9), Table(IRIS))
    loss = -step.model.log_density(IRIS).mean()
    assert step.metrics["train_objective"] == pytest.approx(loss, abs=1e-5)


def test_one_component_is_the_gaussian_of_the_rows() -> None:
    step = fit(gmm_gradient.Config(n_components=1, penalty=1e-9), Table(IRIS))
    np.testing.assert_allclose(step.model.means[0], IRIS.mean(axis=0), rtol=1e-6)
    covariance = np.cov(IRIS.T, bias=True)
    np.testing.assert_allclose(step.model.covariances[0], covariance, rtol=1e-5)


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="n_components is 3, the training data has 2"):
        fit(gmm_gradient.Config(n_components=3), Table(np.eye(2)))


def test_constant_column_and_duplicate_rows_have_a_finite_density() -> None:
    rows = np.repeat([[0.0, 5.0], [1.0, 5.0]], 6, axis=0)
    model = fit(gmm_gradient.Config(), Table(rows)).model
    assert np.isfinite(model.log_density(rows)).all()
