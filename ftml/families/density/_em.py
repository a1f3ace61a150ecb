"""The E and the M step of Gaussian mixtures, many at once.

    E:  r_ik = pi_k N(x_i; mu_k, Sigma_k) / sum_j pi_j N(x_i; mu_j, Sigma_j)
    M:  pi_k = N_k / n,   mu_k = sum_i r_ik x_i / N_k,
        Sigma_k = sum_i r_ik (x_i - mu_k)(x_i - mu_k)' / N_k + reg_covar I

Axes: n rows, d columns, k components, R members (mixtures), M components of all
members, one mixture after the other; `sizes` (R,) says how many each has.

In the whitened coordinates y = U'(x - mu) of a component (`_mixture.py`) the M step
needs the responsibilities r of the rows and

    N = sum r,   first = sum r y,   second = sum r y y'

all computed in one pass, in blocks of rows that fit into a core's cache: nothing is
lost by cancellation. Diagonal covariances keep the diagonals alone: C, U and `second`
are then (M, d).
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ftml.families.density._mixture import log_constants

if TYPE_CHECKING:
    from ftml.families.density.gmm import Config

CACHE = 100_000
"Size of a block in whitened values: 800 kilobytes."
FEWEST_ROWS = 128
"Smallest number of rows of a block, if one mixture's components allow it."
ON_GPU = 2**27
"The same on a GPU: a gigabyte."


FULL = ("full", "tied")
"The kinds of covariance of which the whole is kept, not the diagonal alone."


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


def maximise(
    moments: Moments, means: np.ndarray, roots: np.ndarray, *, config: Config
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights (k,), means (k, d) and roots of one mixture after an M step.

    means and roots: those that the moments were whitened by. Raises ValueError where a
    covariance is not positive definite.
    """
    N = moments.counts + 10 * np.finfo(float).eps  # a component may be left empty
    shift = moments.first / N[:, None]
    weights = N / N.sum()
    if roots.ndim == 2:
        variances = roots**2 * (moments.second / N[:, None] - shift**2)
        if config.covariance == "spherical":
            variances = np.broadcast_to(
                variances.mean(axis=1, keepdims=True), variances.shape
            )
        variances = np.maximum(variances, 0.0) + config.reg_covar
        if not variances.all():
            j = int(np.argmin(variances.all(axis=1)))
            raise ValueError(collapsed(np.diag(variances[j]), N, j, config=config))
        return weights, means + shift * roots, np.sqrt(variances)
    spread = moments.second / N[:, None, None] - shift[:, :, None] * shift[:, None, :]
    covariances = roots @ spread @ roots.transpose(0, 2, 1)
    if config.covariance == "tied":
        pooled = np.einsum("k,kij->ij", weights, covariances)
        covariances = np.broadcast_to(pooled, covariances.shape)
    covariances = covariances + config.reg_covar * np.eye(means.shape[1])
    new = np.empty_like(covariances)
    for j, covariance in enumerate(covariances):
        try:
            new[j] = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            raise ValueError(collapsed(covariance, N, j, config=config)) from None
    return weights, means + np.einsum("kj,kij->ki", shift, roots), new


def collapsed(covariance: np.ndarray, N: np.ndarray, j: int, *, config: Config) -> str:
    """Return the message about the covariance (d, d) of component j, which is not
    positive definite. N: (k,), the rows of each component by weight.
    """
    tied = config.covariance == "tied"
    d, constant = len(covariance), np.flatnonzero(np.diag(covariance) <= 0)
    which = "that all components share" if tied else f"of component {j}"
    if len(constant):
        named = ", ".join(map(str, constant[:8])) + (
            " ..." if len(constant) > 8 else ""
        )
        why = f"column {named} (from 0)" if len(constant) < d else "every column"
        why += " has one value in each" if tied else " has one value in it"
    else:
        why = f"one of the {d} columns is constant or depends on the others in it"
    rows = N.sum() if tied else N[j]
    fewer = f", or lower n_components below {config.n_components}"
    return (
        f"the covariance {which}, of {rows:.3g} rows by weight, is not positive "
        f"definite: up to rounding, {why}; raise reg_covar above "
        f"{config.reg_covar:g}{fewer if config.n_components > 1 else ''}"
    )


def of_clusters(
    X: np.ndarray, labels: np.ndarray, k: int, config: Config
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and roots of components that are clusters of rows."""
    d = X.shape[1]
    member = np.eye(k)[labels].T  # (k, n)
    first = member @ X
    if config.covariance in FULL:
        second = np.stack([X[labels == j].T @ X[labels == j] for j in range(k)])
        identity = np.broadcast_to(np.eye(d), (k, d, d))
    else:
        second, identity = member @ X**2, np.ones((k, d))
    moments = Moments(np.zeros(1), member.sum(axis=1), first, second)
    return maximise(moments, np.zeros((k, d)), identity, config=config)
