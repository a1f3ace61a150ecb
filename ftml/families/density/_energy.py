"""A Gaussian tilted by bumps: a density whose normaliser is not known.

    log p(x) = e(y) - log Z - sum log scale,   y = (x - center) / scale
    e(y) = -y'Ly / 2 + h'y + sum_j w_j exp(-|y - z_j|^2 / (2 s^2))

Axes: n rows, d columns, m bumps, P coefficients. e is linear in all its coefficients,
d (d + 1) / 2 in L, d in h and m in w, in that order. Bumps are bounded, so that Z is
finite where L is positive definite; without bumps it is that of a Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky

from ftml.data.standardize import learn_scaling
from ftml.data.table import check_rows
from ftml.families.density.kde import squared_distances

RESAMPLED = 20
"Draws of the Gaussian for each row that `sample` returns."


@dataclass(frozen=True)
class Model:
    precision: np.ndarray
    "(d, d): L, in scaled columns"

    slope: np.ndarray
    "(d,): h"

    bumps: np.ndarray
    "(m, d): z, in scaled columns"

    heights: np.ndarray
    "(m,): w"

    width: float
    "s"

    center: np.ndarray
    "(d,)"

    scale: np.ndarray
    "(d,)"

    log_z: float
    "log Z: known, estimated or learnt, as the family says"

    def energy(self, X: np.ndarray) -> np.ndarray:
        """Return e(y), (n,), for X (n, d)."""
        check_rows(X, len(self.center))
        y = (X - self.center) / self.scale
        quadratic = -0.5 * np.einsum("ni,ij,nj->n", y, self.precision, y)
        return quadratic + y @ self.slope + bump_values(y, self) @ self.heights

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) in nats, (n,), for X (n, d); as exact as log Z."""
        return self.energy(X) - self.log_z - np.log(self.scale).sum()

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n rows (n, d): draws of the Gaussian, kept by the weight of the bumps.

        They follow the density the better, the less the bumps weigh.
        """
        rng = np.random.default_rng(seed)
        y = gaussian_draws(self, RESAMPLED * n, rng)
        log_weight = bump_values(y, self) @ self.heights
        weight = np.exp(log_weight - log_weight.max())
        kept = rng.choice(len(y), n, p=weight / weight.sum())
        return self.center + self.scale * y[kept]


class Bumps(NamedTuple):
    """Where the bumps stand."""

    bumps: np.ndarray
    "(m, d)"

    width: float


def bump_values(y: np.ndarray, of: Model | Bumps) -> np.ndarray:
    """Return the bumps' heights (n, m) at scaled rows y (n, d)."""
    return np.exp(squared_distances(y, of.bumps) / (-2 * of.width**2))


def scaled_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X (n, d) centred and of unit deviation, the centre and the scale.

    Raises ValueError for a column that is constant: no density of its kind is finite.
    """
    scaling = learn_scaling(X)
    if constant := np.flatnonzero(X.min(axis=0) == X.max(axis=0)).tolist():
        raise ValueError(f"column {constant[0]} is constant: leave it out")
    return (X - scaling.center) / scaling.scale, scaling.center, scaling.scale


def drawn_bumps(
    y: np.ndarray, *, n_bumps: int, width: float, rng: np.random.Generator
) -> Bumps:
    """Return bumps on rows drawn without replacement, at most on all of them."""
    rows = rng.permutation(len(y))[:n_bumps]
    # |y - y'| of independent standard rows is about sqrt(2 d).
    return Bumps(y[rows], width * np.sqrt(2 * y.shape[1]))


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
    """Return what the coefficients are multiplied by, (n, P), at scaled rows (n, d)."""
    i, j = np.triu_indices(y.shape[1])
    products = np.where(i == j, -0.5, -1.0) * y[:, i] * y[:, j]
    return np.hstack([products, y, bump_values(y, bumps)])


def gaussian_draws(model: Model, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n scaled rows (n, d) drawn from the Gaussian that the bumps stand on."""
    root = cholesky(model.precision, lower=True)
    mean = cho_solve((root, True), model.slope)
    z = rng.normal(size=(n, len(mean)))
    return mean + np.linalg.solve(root.T, z.T).T


def gaussian_log_z(precision: np.ndarray, slope: np.ndarray) -> float:
    """Return the log of the integral of exp(-y'Ly / 2 + h'y)."""
    root = cholesky(precision, lower=True)
    mean = cho_solve((root, True), slope)
    half_log_det = float(np.log(np.diag(root)).sum())
    return (
        0.5 * float(slope @ mean)
        + 0.5 * len(slope) * np.log(2 * np.pi)
        - (half_log_det)
    )


def estimated_log_z(
    model: Model, *, n_draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return log Z by importance sampling from the Gaussian, and its standard error.

        Z = Z_0 E[exp(sum_j w_j bump_j(y))],   y from the Gaussian of normaliser Z_0

    Exact, with error 0, for a model without bumps.
    """
    known = gaussian_log_z(model.precision, model.slope)
    if not len(model.heights):
        return known, 0.0
    y = gaussian_draws(model, n_draws, rng)
    log_weight = bump_values(y, model) @ model.heights
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    error = float(weight.std() / weight.mean() / np.sqrt(n_draws))
    return known + top + float(np.log(weight.mean())), error
