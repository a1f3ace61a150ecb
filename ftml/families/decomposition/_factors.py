"""The linear-Gaussian model that probabilistic PCA and factor analysis share.

    x = m + W z + e,   z ~ N(0, I),   e ~ N(0, diag(psi)),   x ~ N(m, A),
    A = W W' + diag(psi)

Axes: n rows, d columns, q factors. With P = I + W' diag(psi)^-1 W (q, q)

    log |A| = log |P| + sum log psi,   E[z | x] = P^-1 W' diag(psi)^-1 (x - m)
    (x - m)' A^-1 (x - m) = |diag(psi)^-1/2 (x - m - W E[z | x])|^2 + |E[z | x]|^2

so that no (d, d) matrix is needed. W is known up to a rotation of the factors.

Source: Deep learning cheat sheet, 17.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from ftml.data.rows import checked_rows


@dataclass(frozen=True)
class Model:
    mean: np.ndarray
    "(d,)"

    loadings: np.ndarray
    "(d, q): W"

    noise: np.ndarray
    "(d,): psi, all above 0"

    @property
    def components(self) -> np.ndarray:
        """W', (q, d)."""
        return self.loadings.T

    @property
    def covariance(self) -> np.ndarray:
        """A, (d, d)."""
        return self.loadings @ self.loadings.T + np.diag(self.noise)

    def _root(self) -> np.ndarray:
        """Return the lower Cholesky factor of P."""
        W = self.loadings
        P = np.eye(W.shape[1]) + (W.T / self.noise) @ W
        root: np.ndarray = cholesky(P, lower=True)
        return root

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log N(x; m, A) in nats, (n,), for X (n, d)."""
        z = self.transform(X)
        # x'A^-1 x as a sum of squares: |s|^2 - |P^-1/2 W' psi^-1/2 s|^2 would cancel
        # where the noise is small.
        rest = (X - self.mean - z @ self.loadings.T) / np.sqrt(self.noise)
        square = np.sum(rest**2, axis=1) + np.sum(z**2, axis=1)
        log_det = 2 * np.log(np.diag(self._root())).sum() + np.log(self.noise).sum()
        density: np.ndarray = -0.5 * (
            square + log_det + len(self.mean) * np.log(2 * np.pi)
        )
        return density

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return E[z | x], (n, q), for X (n, d)."""
        X = checked_rows(X, len(self.mean), unit=np.sqrt(self.noise))
        root = self._root()
        right = (self.loadings.T / self.noise) @ (X - self.mean).T
        inner = solve_triangular(root, right, lower=True)
        return solve_triangular(root, inner, lower=True, trans="T").T

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return m + W E[z | x], (n, d)."""
        return self.mean + self.transform(X) @ self.loadings.T

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples (n, d) of the model."""
        rng = np.random.default_rng(seed)
        d, q = self.loadings.shape
        z, e = rng.normal(size=(n, q)), rng.normal(size=(n, d))
        return self.mean + z @ self.loadings.T + e * np.sqrt(self.noise)


def check_factors(q: int, d: int) -> None:
    """Raise ValueError unless there are fewer factors than columns."""
    if q >= d:
        raise ValueError(
            f"n_components is {q}; expected fewer than the {d} columns of the data"
        )
