"""Gaussian mixtures: their densities and samples.

    p(x) = sum_k pi_k N(x; mu_k, Sigma_k),   Sigma_k = C_k C_k',   U_k = C_k^-T

Axes: n rows, d columns, k components; M components of one or several mixtures.

In the whitened coordinates y = U'(x - mu) of a component log N is -|y|^2 / 2 + log |U|
- (d / 2) log 2 pi. Diagonal covariances keep the diagonals alone: C and U are then
(M, d).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from ftml.data.rows import checked_rows


@dataclass(frozen=True)
class Model:
    weights: np.ndarray
    "(k,): pi"

    means: np.ndarray
    "(k, d): mu"

    roots: np.ndarray
    """C: (k, d, d) lower triangles; (1, d, d) if all share one; (k, d) standard
    deviations, (k, 1) if all columns share one"""

    @property
    def covariances(self) -> np.ndarray:
        """Sigma in full, (k, d, d)."""
        k, d = self.means.shape
        if self.roots.ndim == 3:
            full = self.roots @ self.roots.transpose(0, 2, 1)
            return np.broadcast_to(full, (k, d, d))
        return np.eye(d) * np.broadcast_to(self.roots**2, (k, d))[:, None, :]

    @property
    def n_parameters(self) -> int:
        """The number of free parameters, for the Bayesian information criterion.

        A triangle counts d (d + 1) / 2.
        """
        k, d = self.means.shape
        each = d * (d + 1) // 2 if self.roots.ndim == 3 else self.roots.shape[1]
        return k - 1 + k * d + len(self.roots) * each

    def log_components(self, X: np.ndarray) -> np.ndarray:
        """Return log pi_k N(x; mu_k, Sigma_k), (n, k), for X (n, d)."""
        k, d = self.means.shape
        roots = np.broadcast_to(
            self.roots, (k, d, d) if self.roots.ndim == 3 else (k, d)
        )
        deviations = np.einsum("kjj->kj", roots) if roots.ndim == 3 else roots
        X = checked_rows(X, d, unit=deviations.min(axis=0))
        found = np.empty((len(X), k))
        with np.errstate(divide="ignore"):  # a weight may be 0
            constants = log_constants(np.log(self.weights), whitening(roots))
        for j in range(k):
            away = X - self.means[j]
            y = (
                solve_triangular(roots[j], away.T, lower=True)
                if roots.ndim == 3
                else (away / roots[j]).T
            )
            found[:, j] = constants[j] - 0.5 * np.sum(y**2, axis=0)
        return found

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) in nats, (n,), for X (n, d)."""
        density: np.ndarray = logsumexp(self.log_components(X), axis=1)
        return density

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable component, (n,)."""
        return self.log_components(X).argmax(axis=1)

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples (n, d) of the mixture."""
        rng = np.random.default_rng(seed)
        k, d = self.means.shape
        component = rng.choice(k, n, p=self.weights / self.weights.sum())
        z = rng.normal(size=(n, d))
        if self.roots.ndim == 3:
            roots = np.broadcast_to(self.roots, (k, d, d))
            return self.means[component] + np.einsum("nij,nj->ni", roots[component], z)
        roots = np.broadcast_to(self.roots, (k, d))
        return self.means[component] + roots[component] * z


def whitening(roots: np.ndarray) -> np.ndarray:
    """Return U = C^-T for C (M, d, d), or 1 / C for standard deviations (M, d)."""
    if roots.ndim == 2:
        return 1.0 / roots
    eye = np.eye(roots.shape[1])
    inverses = [solve_triangular(C, eye, lower=True).T for C in roots]
    return np.array(inverses)


def log_constants(log_weights: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Return log pi + log |U| - (d / 2) log 2 pi, (M,)."""
    diagonal = np.einsum("mii->mi", U) if U.ndim == 3 else U
    d = U.shape[1]
    return log_weights + np.log(diagonal).sum(axis=1) - 0.5 * d * np.log(2 * np.pi)
