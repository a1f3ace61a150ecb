"""Gaussian mixtures, many at once: densities, and the sufficient statistics of
training.

    p(x) = sum_k pi_k N(x; mu_k, Sigma_k),   Sigma_k = C_k C_k',   U_k = C_k^-T

Axes: n rows, d columns, k components, R members (mixtures), M components of all
members, one mixture after the other; `sizes` (R,) says how many each has.

In the whitened coordinates y = U'(x - mu) of a component log N is -|y|^2 / 2 + log |U|
and the training needs the responsibilities r of the rows and

    N = sum r,   first = sum r y,   second = sum r y y'

all computed in one pass, in blocks of rows that fit into a core's cache. Diagonal
covariances keep the diagonals alone: C, U and `second` are then (M, d).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from ftml.data.checks import check_rows

CACHE = 100_000
"Size of a block in whitened values: 800 kilobytes."
FEWEST_ROWS = 128
"Smallest number of rows of a block, if one mixture's components allow it."
ON_GPU = 2**27
"The same on a GPU: a gigabyte."


class Moments(NamedTuple):
    """The results of a pass over the rows."""

    log_lik: np.ndarray
    "(R,): sum of the log-densities of all rows, in nats"

    counts: np.ndarray
    "(M,): N"

    first: np.ndarray
    "(M, d)"

    second: np.ndarray
    "(M, d, d), or (M, d) for diagonal covariances"


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
        check_rows(X, self.means.shape[1])
        k, d = self.means.shape
        roots = np.broadcast_to(
            self.roots, (k, d, d) if self.roots.ndim == 3 else (k, d)
        )
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


def expect(
    X: Any,
    log_weights: np.ndarray,
    means: np.ndarray,
    U: np.ndarray,
    sizes: np.ndarray,
) -> Moments:
    """Return the moments of rows X (n, d), an array or a tensor on any device.

    log_weights: (M,). means: (M, d). U: (M, d, d), or (M, d) for diagonal covariances.
    """
    mixtures = (log_constants(log_weights, U), means, U)
    if isinstance(X, np.ndarray):
        parts = []
        for members in _groups(sizes, widest=CACHE // (X.shape[1] * FEWEST_ROWS)):
            own = slice(
                int(sizes[: members[0]].sum()), int(sizes[: members[-1] + 1].sum())
            )
            some = tuple(each[own] for each in mixtures)
            parts.append(_expect(np, X, some, sizes[members], cache=CACHE))
        return Moments(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    import torch

    there = tuple(torch.from_numpy(a).to(X.device) for a in mixtures)
    found = _expect(torch, X, there, sizes, cache=ON_GPU)
    return Moments(*(each.cpu().numpy() for each in found))


def _groups(sizes: np.ndarray, *, widest: int) -> list[np.ndarray]:
    """Return the members in groups of at most `widest` components, or of one member.

    Larger groups would leave space in the cache for few rows only.
    """
    groups: list[list[int]] = []
    held = 0
    for r, size in enumerate(sizes):
        if not groups or held + size > widest:
            groups.append([])
            held = 0
        groups[-1].append(r)
        held += int(size)
    return [np.array(group) for group in groups]


def _expect(
    xp: ModuleType,
    X: Any,
    mixtures: tuple[Any, ...],
    sizes: np.ndarray,
    *,
    cache: int,
) -> tuple[Any, Any, Any, Any]:
    """Return the moments' arrays, by numpy or torch: `xp` is the one that X is of."""
    constants, means, U = mixtures
    (n, d), M = X.shape, len(means)
    ends = np.cumsum(sizes).tolist()
    members = list(zip([0, *ends], ends, strict=False))
    log_lik = xp.zeros_like(constants[: len(sizes)])
    counts, first, second = (xp.zeros_like(a) for a in (constants, means, U))
    at_once = max(16, cache // (M * d))
    for start in range(0, n, at_once):
        y = _whitened(xp, X[start : start + at_once], means, U)  # (M, c, d)
        resp = constants[:, None] - 0.5 * xp.einsum("mcd,mcd->mc", y, y)
        for r, (a, b) in enumerate(members):
            own = resp[a:b]
            top = xp.amax(own, 0)
            own -= top
            xp.exp(own, out=own)
            total = own.sum(0)
            log_lik[r] += (top + xp.log(total)).sum()
            own /= total
        counts += resp.sum(1)
        root = xp.sqrt(resp)
        y *= root[:, :, None]
        first += (root[:, None, :] @ y)[:, 0]
        second += (
            y.swapaxes(1, 2) @ y if U.ndim == 3 else xp.einsum("mcd,mcd->md", y, y)
        )
    return log_lik, counts, first, second


def _whitened(xp: ModuleType, X: Any, means: Any, U: Any) -> Any:
    """Return y of each component, (M, c, d), for rows X (c, d)."""
    if U.ndim == 2:
        return (X[None] - means[:, None]) * U[:, None]
    y = xp.matmul(X, U)
    y -= means[:, None] @ U
    return y
