"""The Gaussian with bumps of score matching and NCE: gradients, mass and samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ftml import Table
from ftml.families.density import _energy
from ftml.families.density._energy import Model


def model(d: int = 2, m: int = 3) -> Model:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(d, d))
    root = np.linalg.cholesky(A @ A.T + np.eye(d))
    return Model(
        precision=np.eye(d) + 0.2 * A.T @ A,
        slope=0.3 * rng.normal(size=d),
        bumps=rng.normal(size=(m, d)),
        heights=np.array([1.5, -0.8, 0.7])[:m],
        width=0.8,
        center=rng.normal(size=d),
        root=root,
        log_z=0.0,
        log_z_error=0.0,
        log_mass=0.0,
    )


SHAPES = [(2, 3), (5, 2), (1, 1)]


@pytest.mark.parametrize(("d", "m"), SHAPES)
def test_energy_is_linear_in_its_coefficients(d: int, m: int) -> None:
    given = model(d, m)
    y = np.random.default_rng(1).normal(size=(7, d))
    theta = _energy.coefficients(given.precision, given.slope, m)
    theta[-m:] = given.heights
    F = _energy.features(y, _energy.Bumps(given.bumps, given.width))
    np.testing.assert_allclose(F @ theta, given.energy_of_whitened(y), atol=1e-12)
    L, h, w = _energy.split_coefficients(theta, d)
    for found, expected in ((L, given.precision), (h, given.slope), (w, given.heights)):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(("d", "m"), SHAPES)
def test_score_is_the_gradient_of_the_energy(d: int, m: int) -> None:
    given, eps = model(d, m), 1e-6
    y = np.random.default_rng(1).normal(size=(5, d))
    numeric = np.stack(
        [
            (
                given.energy_of_whitened(y + eps * e)
                - given.energy_of_whitened(y - eps * e)
            )
            / (2 * eps)
            for e in np.eye(d)
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        given.gradient_of_whitened(y), numeric, rtol=1e-7, atol=1e-8
    )


def mass(of: Model) -> float:
    """Return the integral of a density of two columns, on a grid of whitened rows."""
    side = np.linspace(-9, 9, 601)
    y = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    X = of.center + y @ of.root.T
    area = (side[1] - side[0]) ** 2 * np.linalg.det(of.root)
    return float(np.exp(of.log_density(X)).sum() * area)


def test_estimated_normaliser_makes_the_mass_one() -> None:
    rng = np.random.default_rng(2)
    log_z, error = _energy.estimated_log_z(model(), n_draws=50_000, rng=rng)
    assert 0 < error < 0.01
    found = mass(dataclasses.replace(model(), log_z=log_z))
    assert abs(np.log(found)) < 4 * error


def test_normaliser_of_a_gaussian_is_exact() -> None:
    plain = model(m=0)
    rng = np.random.default_rng(0)
    log_z, error = _energy.estimated_log_z(plain, n_draws=100, rng=rng)
    assert error == 0.0
    assert mass(dataclasses.replace(plain, log_z=log_z)) == pytest.approx(1.0, abs=1e-9)


def test_mass_above_one_is_taken_off_and_mass_below_is_not_added() -> None:
    log_z, _ = _energy.estimated_log_z(
        model(), n_draws=50_000, rng=np.random.default_rng(2)
    )
    for off, expected in ((0.5, 1.0), (-0.5, np.exp(-0.5))):
        wrong = dataclasses.replace(model(), log_z=log_z - off, log_mass=off)
        assert mass(wrong) == pytest.approx(expected, rel=0.02)


def test_samples_follow_the_density() -> None:
    given = model()
    drawn = given.sample(1500, seed=0)
    y = _energy.whiten(drawn, given.center, given.root)
    rng = np.random.default_rng(3)
    proposals = _energy.gaussian_samples(given, 100_000, rng)
    weight = np.exp(_energy.bump_values(proposals, given) @ given.heights)
    weight /= weight.sum()
    mean = weight @ proposals
    # Standard errors of 1,500 samples of standard deviation 1: .026.
    np.testing.assert_allclose(y.mean(axis=0), mean, atol=0.09)
    spread = (proposals - mean).T * weight @ (proposals - mean)
    np.testing.assert_allclose(np.cov(y.T), spread, atol=0.12)


@pytest.mark.parametrize(
    ("X", "why"),
    [
        (np.eye(2), "2 of them are different, more than 2 are needed"),
        (np.repeat(np.eye(2), 9, axis=0), "18 .* 2 of them are different"),
        (np.ones((1, 2)), "1 of them are different"),
        (np.column_stack([np.arange(9.0), np.ones(9)]), "column x1 is constant"),
        (np.outer(np.arange(9.0), [1.0, 2.0]), "a column depends on the others"),
    ],
    ids=["few rows", "few rows repeated", "one row", "constant", "dependent"],
)
def test_rows_that_determine_no_gaussian_are_refused_with_the_reason(
    X: np.ndarray, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        _energy.whitened_rows(Table(X))


def test_whitened_rows_have_mean_zero_and_covariance_one() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1.0, 1e3, 1e-3]) + 5.0
    y, center, root = _energy.whitened_rows(Table(X))
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(y.T @ y / 50, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(center + y @ root.T, X, rtol=1e-12)
