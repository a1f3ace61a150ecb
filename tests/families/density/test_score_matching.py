"""Score matching: the closed form of a Gaussian, and the objective by differences."""

from __future__ import annotations

import numpy as np
import pytest

from ftml import Table, fit
from ftml.families.density import score_matching
from ftml.families.density._energy import Bumps, split_coefficients

RNG = np.random.default_rng(0)
MIXING = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-0.5, 0.3, 0.7]])
ROWS = RNG.normal(size=(400, 3)) @ MIXING.T + np.array([1.0, -2.0, 3.0])


def unit_vectors(n: int, d: int) -> np.ndarray:
    return np.broadcast_to(np.eye(d)[:, None], (d, n, d))


@pytest.mark.parametrize(("n", "d"), [(400, 3), (31, 7), (5, 1)])
def test_precision_of_a_gaussian_is_recovered(n: int, d: int) -> None:
    rows = ROWS if d == 3 else np.random.default_rng(1).normal(size=(n, d))
    none = Bumps(np.zeros((0, d)), 1.0)
    centred = rows - rows.mean(axis=0)
    A, b = score_matching.quadratic(centred, none, unit_vectors(n, d))
    theta = score_matching.solve(A, b, free=d * (d + 3) // 2, penalty=1.0)
    L, h, _ = split_coefficients(theta, d)
    covariance = np.atleast_2d(np.cov(rows.T, bias=True))
    np.testing.assert_allclose(L, np.linalg.inv(covariance), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(h, 0.0, atol=1e-10)


def test_model_without_bumps_is_the_gaussian_of_the_rows() -> None:
    step = fit(score_matching.Config(n_bumps=0), Table(ROWS))
    S, mean = np.cov(ROWS.T, bias=True), ROWS.mean(axis=0)
    away = ROWS - mean
    square = np.einsum("ni,ij,nj->n", away, np.linalg.inv(S), away)
    expected = -0.5 * (square + np.linalg.slogdet(2 * np.pi * S)[1])
    np.testing.assert_allclose(step.model.log_density(ROWS), expected, rtol=1e-9)
    assert step.metrics["train_log_z_error"] == 0.0


def test_variance_of_one_column_is_recovered_within_three_percent() -> None:
    x = np.sqrt(2.0) * np.random.default_rng(4).normal(size=(20_000, 1))
    bumps = Bumps(np.zeros((0, 1)), 1.0)
    theta = score_matching.solve(
        *score_matching.quadratic(x, bumps, unit_vectors(20_000, 1)),
        free=2,
        penalty=1.0,
    )
    assert 1 / theta[0] == pytest.approx(2.0, rel=0.03)


def test_objective_is_curvature_plus_half_the_squared_gradient() -> None:
    # With a plus between the two (the notes have a minus, and then no minimum).
    y = np.random.default_rng(1).normal(size=(6, 2))
    bumps = Bumps(np.random.default_rng(2).normal(size=(2, 2)), 0.7)
    theta = np.array([1.2, 0.1, 0.8, 0.3, -0.2, 0.5, -0.4])
    A, b = score_matching.quadratic(y, bumps, unit_vectors(6, 2))
    L, h, w = split_coefficients(theta, 2)

    def energy(at: np.ndarray) -> np.ndarray:
        away = ((at[:, None] - bumps.bumps) ** 2).sum(axis=2)
        bump = np.exp(-away / (2 * bumps.width**2)) @ w
        return -0.5 * np.einsum("ni,ij,nj->n", at, L, at) + at @ h + bump

    eps, J = 1e-4, 0.0
    for e in eps * np.eye(2):
        slope = (energy(y + e) - energy(y - e)) / (2 * eps)
        curvature = (energy(y + e) - 2 * energy(y) + energy(y - e)) / eps**2
        J += np.mean(curvature + 0.5 * slope**2)
    assert 0.5 * theta @ A @ theta + b @ theta == pytest.approx(J, rel=1e-6)


def test_sliced_objective_tends_to_the_exact_one() -> None:
    y = np.random.default_rng(1).normal(size=(50, 2))
    bumps = Bumps(y[:3], 1.0)
    config = score_matching.Config(objective="sliced", n_slices=1000)
    v = score_matching.random_directions(config, y.shape, np.random.default_rng(0))
    sliced = score_matching.quadratic(y, bumps, v)
    exact = score_matching.quadratic(y, bumps, unit_vectors(50, 2))
    for one, other in zip(sliced, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())


def test_bumps_see_two_clusters_that_a_gaussian_does_not() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) + 3.0 * np.sign(rng.normal(size=(300, 1)))
    plain, tilted = (
        fit(score_matching.Config(n_bumps=m, width=0.2), Table(X)).metrics[
            "train_log_likelihood"
        ]
        for m in (0, 50)
    )
    assert tilted > plain + 0.2


def test_penalty_is_raised_until_the_fit_is_a_density() -> None:
    # J = theta^2 / 2 of the bump and the precision, which it drives below 0.
    A = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [2.0, 0.0, 4.1]])
    b = np.array([-1.0, 0.0, -4.0])
    theta, penalty = next(score_matching.densities(A, b, 1, penalty=1e-3))
    assert penalty > 1e-3
    assert theta[0] > 0
    assert score_matching.solve(A, b, free=2, penalty=1e-3)[0] < 0


@pytest.mark.parametrize("seed", [0, 1, 8, 11])
@pytest.mark.parametrize("width", [0.1, 1.0])
def test_density_of_one_column_integrates_to_one_within_its_stated_error(
    seed: int, width: float
) -> None:
    """By quadrature; the mass is of bumps that the Gaussian under them does not meet.

    The grid also has the tails of a Gaussian as wide as e^12 standard deviations.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 1)) + 3.0 * (seed % 2) * np.sign(rng.normal(size=(40, 1)))
    config = score_matching.Config(width=width, penalty=1e-2, seed=seed, n_draws=4000)
    model = fit(config, Table(X)).model
    grid = np.concatenate(
        [np.linspace(-9, 9, 40_001), np.sinh(np.linspace(3, 12, 999))]
    )
    y = np.unique(np.concatenate([grid, -grid]))
    energy = model.energy_of_whitened(y[:, None])
    top = energy.max()
    exact = top + np.log(np.trapezoid(np.exp(energy - top), y))
    # Weights are skewed: the standard error of e^x, and 5 of them, in nats.
    assert abs(model.log_z - exact) < 5 * model.log_z_error + 0.01
    assert model.log_z_error < 0.8


HEAVY = np.random.default_rng([0, 40, 1]).standard_cauchy(size=(40, 1))
FEW = np.random.default_rng([1, 8, 2]).normal(size=(8, 2))
FEW_OF_ONE = np.random.default_rng([1, 8, 1]).normal(size=(8, 1))


@pytest.mark.parametrize("X", [HEAVY, FEW, FEW_OF_ONE], ids=["heavy", "two", "one"])
def test_bumps_never_lower_the_likelihood_of_the_training_rows(X: np.ndarray) -> None:
    plain, with_bumps = (
        fit(score_matching.Config(n_bumps=m, n_draws=2000), Table(X)).metrics
        for m in (0, 50)
    )
    name = "train_log_likelihood"
    assert with_bumps[name] >= plain[name] - score_matching.MISSED


@pytest.mark.parametrize(("n", "d"), [(40, 2), (8, 2), (3, 2)])
def test_bumps_on_few_rows_of_a_gaussian_do_not_lower_the_likelihood_of_new_rows(
    n: int, d: int
) -> None:
    """The gain of each of five seeds; without rows held out, one was -6.6 nats."""
    gains = []
    for seed in range(5):
        rng = np.random.default_rng([seed, n, d])
        X, new = rng.normal(size=(n, d)), rng.normal(size=(1000, d))
        plain, with_bumps = (
            fit(score_matching.Config(n_bumps=m, n_draws=2000), Table(X)).model
            for m in (0, 50)
        )
        gains.append(np.mean(with_bumps.log_density(new) - plain.log_density(new)))
    assert np.mean(gains) > -0.05


def test_held_out_rows_are_in_one_fold_each_and_no_bump_is_on_them() -> None:
    y = np.random.default_rng(0).normal(size=(12, 2))
    rows = np.array([3, 7, 1, 0])
    bumps, v = Bumps(y[rows], 0.7), unit_vectors(12, 2)
    parts = list(score_matching.folds(y, rows, bumps, v, seed=0))
    assert [len(part.y) for part in parts] == [3, 3, 2, 2, 2]
    np.testing.assert_array_equal(
        np.unique(np.concatenate([part.y for part in parts]), axis=0),
        np.unique(y, axis=0),
    )
    for part in parts:
        held = [any((z == row).all() for row in part.y) for z in bumps.bumps]
        np.testing.assert_array_equal(part.bumps.bumps, bumps.bumps[~np.array(held)])
        others = np.array([row for row in y if not (row == part.y).all(1).any()])
        A, b = score_matching.quadratic(
            others, part.bumps, unit_vectors(len(others), 2)
        )
        np.testing.assert_allclose(part.A, A, rtol=1e-12)
        np.testing.assert_allclose(part.b, b, rtol=1e-12)


def test_few_directions_are_refused_with_the_key_to_set() -> None:
    config = score_matching.Config(objective="sliced", n_slices=1, n_bumps=0)
    X = np.random.default_rng(0).normal(size=(9, 5))
    with pytest.raises(ValueError, match="not fix the 20 coefficients: raise n_slices"):
        fit(config, Table(X))


def test_rows_that_determine_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fix a Gaussian"):
        fit(score_matching.Config(), Table(np.ones((5, 2))))
