"""A Gaussian with added bumps: a density whose normaliser is unknown.

    log p(x) = e(y) - log Z - log |C|,   y = C^-1 (x - m),   C C' the rows' covariance
    e(y) = -y'Ly / 2 + h'y + sum_j w_j exp(-|y - z_j|^2 / (2 s^2))

Axes: n rows, d columns, m bumps, P coefficients. e is linear in all its coefficients, d
(d + 1) / 2 in L, d in h and m in w, in that order. Bumps are bounded, so that Z is
finite where L is positive definite; without bumps it is that of a Gaussian. In the
whitened coordinates y all directions have equal weight, whatever the correlations of
the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import logsumexp

from ftml.data.rows import checked_rows
from ftml.data.standardize import check_inverse, learn_scaling
from ftml.data.table import Table
from ftml.families.density._langevin import langevin_step
from ftml.families.density.kde import squared_distances

PROPOSALS = 10_000
"Fewest proposals from which the beginnings of chains are chosen."
SURE, AGREE = 0.1, 3.0
"Standard error, in nats, and number of standard errors that `estimated_log_z` allows."
STEPS = 500
"Steps of a chain before a sample is taken."
SINGULAR = 1e-10
"Smallest eigenvalue of a correlation matrix that is larger than rounding errors."


@dataclass(frozen=True)
class Model:
    precision: np.ndarray
    "(d, d): L"

    slope: np.ndarray
    "(d,): h"

    bumps: np.ndarray
    "(m, d): z, whitened"

    heights: np.ndarray
    "(m,): w"

    width: float
    "s"

    center: np.ndarray
    "(d,): m"

    root: np.ndarray
    "(d, d): C, a lower triangle"

    log_z: float
    "log Z: known, estimated or learnt, depending on the family"

    log_z_error: float
    "standard error of an estimate of log Z, in nats"

    log_mass: float
    "log of the integral of exp(e) / Z, 0 if log Z is right"

    def energy(self, X: np.ndarray) -> np.ndarray:
        """Return e(y), (n,), for X (n, d)."""
        X = checked_rows(X, len(self.center), unit=np.diag(self.root))
        return self.energy_of_whitened(whiten(X, self.center, self.root))

    def energy_of_whitened(self, y: np.ndarray) -> np.ndarray:
        quadratic = -0.5 * np.einsum("ni,ij,nj->n", y, self.precision, y)
        return quadratic + y @ self.slope + bump_values(y, self) @ self.heights

    def gradient_of_whitened(self, y: np.ndarray) -> np.ndarray:
        """Return the gradient of e at y, (n, d)."""
        pull = bump_values(y, self) * self.heights / self.width**2  # (n, m)
        towards = pull @ self.bumps - pull.sum(axis=1, keepdims=True) * y
        return self.slope - y @ self.precision + towards

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) in nats, (n,), for X (n, d).

        A mass above 1 is divided out, so that no model gains by a density that
        integrates to more than 1.
        """
        log_z = self.log_z + max(0.0, self.log_mass)
        return self.energy(X) - log_z - np.log(np.diag(self.root)).sum()

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples (n, d), each the end of a Markov chain that begins in a
        proposal, chosen by its importance.

        Chains make 500 steps of Langevin's dynamics with Metropolis's correction.
        """
        rng = np.random.default_rng(seed)
        y = gaussian_samples(self, n, rng)
        if len(self.heights):
            y, log_weight = proposals(self, max(10 * n, PROPOSALS), rng)
            chance = np.exp(log_weight - logsumexp(log_weight))
            y = y[rng.choice(len(y), n, p=chance / chance.sum())]
        # With steps preconditioned by L^-1, d^(-1/3) / 4 has a high acceptance rate.
        eps = 0.25 * len(self.center) ** (-1 / 3)
        root = cholesky(self.precision, lower=True)
        for _ in range(STEPS):
            y = langevin_step(self, y, root, eps=eps, rng=rng)
        return self.center + y @ self.root.T


class Bumps(NamedTuple):
    """The centres of the bumps, and their width."""

    bumps: np.ndarray
    "(m, d)"

    width: float


def bump_values(y: np.ndarray, of: Model | Bumps) -> np.ndarray:
    """Return the bumps' heights (n, m) at whitened rows y (n, d)."""
    return np.exp(squared_distances(y, of.bumps, width=of.width) / (-2 * of.width**2))


def whiten(X: np.ndarray, center: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return C^-1 (x - m) for each row of X (n, d)."""
    y: np.ndarray = solve_triangular(root, (X - center).T, lower=True).T
    return y


def whitened_rows(train: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (n, d) of mean 0 and covariance I, the mean and the root C of X's.

    Raises ValueError where the covariance is singular.
    """
    X, n = train.X, len(train)
    scaling = learn_scaling(X)
    check_inverse(scaling.scale)
    scaled = (X - scaling.center) / scaling.scale
    correlation = scaled.T @ scaled / n
    if np.linalg.eigvalsh(correlation)[0] <= SINGULAR:
        raise ValueError(singular(train))
    root = scaling.scale[:, None] * cholesky(correlation, lower=True)
    return whiten(X, scaling.center, root), scaling.center, root


def singular(train: Table) -> str:
    """Return the message about a table whose rows have a singular covariance."""
    (n, d), different = train.X.shape, len(np.unique(train.X, axis=0))
    constant = np.flatnonzero(train.X.min(axis=0) == train.X.max(axis=0))
    if different <= d:
        why = f"{different} of them are different, more than {d} are needed"
    elif len(constant):
        why = f"column {train.feature_names[constant[0]]} is constant; leave it out"
    else:
        why = "a column depends on the others, nearly or in full; leave it out"
    return f"the {n} training rows do not fix a Gaussian of {d} columns: {why}"


def bumps_at(y: np.ndarray, rows: np.ndarray, *, width: float) -> Bumps:
    """Return bumps centred on some rows of y (n, d).

    rows: (m,) their indices. width: in units of the distance of two rows.
    """
    # |y - y'| of independent rows is about sqrt(2 d).
    return Bumps(y[rows], width * np.sqrt(2 * y.shape[1]))


MOST_COEFFICIENTS = 2**14
"Largest number of coefficients: their second derivatives take 2 GiB."


def check_size(d: int, m: int) -> None:
    """Raise ValueError if d columns and m bumps have too many coefficients."""
    P = d * (d + 3) // 2 + m
    if P > MOST_COEFFICIENTS:
        raise ValueError(
            f"{d:,} columns and {m:,} bumps have {P:,} coefficients, whose second "
            f"derivatives would take {8 * P**2 / 2**30:,.0f} GiB; at most "
            f"{MOST_COEFFICIENTS:,} are possible. Use the principal components of the "
            "columns, or the family ppca, factor_analysis, or gmm with diag covariances"
        )


def coefficients(precision: np.ndarray, slope: np.ndarray, m: int) -> np.ndarray:
    """Return the coefficients (P,) of a Gaussian, its m bumps of height 0."""
    i, j = np.triu_indices(len(slope))
    return np.concatenate([precision[i, j], slope, np.zeros(m)])


def split_coefficients(
    theta: np.ndarray, d: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return L (d, d), h (d,) and w (m,) of the coefficients theta (P,)."""
    i, j = np.triu_indices(d)
    precision = np.zeros((d, d))
    precision[i, j] = precision[j, i] = theta[: len(i)]
    return precision, theta[len(i) : len(i) + d], theta[len(i) + d :]


def features(y: np.ndarray, bumps: Bumps) -> np.ndarray:
    """Return the features that the coefficients multiply, (n, P), at whitened y
    (n, d).
    """
    i, j = np.triu_indices(y.shape[1])
    products = np.where(i == j, -0.5, -1.0) * y[:, i] * y[:, j]
    return np.hstack([products, y, bump_values(y, bumps)])


def gaussian_samples(model: Model, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n whitened samples (n, d) of the Gaussian under the bumps."""
    root = cholesky(model.precision, lower=True)
    mean = cho_solve((root, True), model.slope)
    z = rng.normal(size=(n, len(mean)))
    return mean + np.linalg.solve(root.T, z.T).T


def gaussian_log_z(precision: np.ndarray, slope: np.ndarray) -> float:
    """Return the log of the integral of exp(-y'Ly / 2 + h'y)."""
    root = cholesky(precision, lower=True)
    mean = cho_solve((root, True), slope)
    half_log_det = float(np.log(np.diag(root)).sum())
    unit = 0.5 * len(slope) * np.log(2 * np.pi)
    return 0.5 * float(slope @ mean) + unit - half_log_det


def proposals(
    model: Model, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return n whitened samples y (n, d) and log (exp(e(y)) / q(y)), (n,).

    q is a mixture: a half of the Gaussian under the bumps, a quarter of N(0, I), the
    Gaussian of the rows, and a quarter of Gaussians at the bumps of the bumps' width.
    The Gaussian under the bumps alone may be so wide, or so far from the rows, that
    none of its samples meets the bumps that hold nearly all of the mass.
    """
    m, d = model.bumps.shape
    near = n // 4
    at_bumps = model.bumps[rng.integers(m, size=near)]
    y = np.concatenate(
        [
            gaussian_samples(model, n - 2 * near, rng),
            rng.normal(size=(near, d)),
            at_bumps + model.width * rng.normal(size=(near, d)),
        ]
    )
    energy = model.energy_of_whitened(y)
    gaussian = -0.5 * np.einsum("ni,ij,nj->n", y, model.precision, y) + y @ model.slope
    unit = -0.5 * d * np.log(2 * np.pi)
    away = squared_distances(y, model.bumps, width=model.width) / (-2 * model.width**2)
    parts = [
        np.log((n - 2 * near) / n)
        + gaussian
        - gaussian_log_z(model.precision, model.slope),
        np.log(near / n) - 0.5 * np.sum(y**2, axis=1) + unit,
        np.log(near / n / m) + logsumexp(away, axis=1) + unit - d * np.log(model.width),
    ]
    return y, energy - logsumexp(parts, axis=0)


def estimated_log_z(
    model: Model, *, n_draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return log Z by importance sampling, and its standard error.

        Z = Z_0 E[exp(sum_j w_j bump_j(y))],   y from the Gaussian of normaliser Z_0

    This has hardly any error where the bumps hold little of the mass, and states hardly
    any where its samples miss the bumps that hold all of it. A second estimate, from
    `proposals`, is returned instead where the first is not sure (standard errors above
    .1) or where the two differ by more than 3 of their standard errors. Exact, with
    error 0, for a model without bumps.
    """
    known = gaussian_log_z(model.precision, model.slope)
    if not len(model.heights):
        return known, 0.0
    y = gaussian_samples(model, n_draws, rng)
    first, error = _log_mean(bump_values(y, model) @ model.heights, offset=known)
    second, other = _log_mean(proposals(model, n_draws, rng)[1])
    agree = abs(first - second) <= AGREE * (error + other)
    if agree and error <= max(SURE, other):
        return first, error
    return second, other


def _log_mean(log_weight: np.ndarray, *, offset: float = 0.0) -> tuple[float, float]:
    """Return offset + the log of the mean of exp(log_weight) (n,), and its standard
    error.
    """
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    error = float(weight.std() / weight.mean() / np.sqrt(len(weight)))
    return float(offset + top + np.log(weight.mean())), error
