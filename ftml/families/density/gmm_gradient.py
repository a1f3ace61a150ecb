"""Gaussian mixture by gradient steps on unconstrained parameters.

    minimise -(1/n) sum_i log p(x_i) + (penalty / 2) sum_k |U_k|^2

    pi = softmax(a),   U_k upper triangular with diagonal exp(u_k),  Sigma_k = (U_k
    U_k')^-1,   so that y = U_k'(x - mu_k) has covariance I

Axes: n rows, d columns, k components, R restarts, P parameters. With responsibilities r
and N_k = sum_i r_ik the gradients of sum_i log p(x_i) are

    in a_k     N_k - n pi_k          (zero at the EM update pi_k = N_k / n)
    in mu_k    sum_i r_ik Sigma_k^-1 (x_i - mu_k) = U_k sum_i r_ik y_i
    in U_k     N_k diag(1 / U_k) - sum_i r_ik (x_i - mu_k) y_i'

from the same moments that EM uses. Without the constraint sum pi = 1 the gradient in
pi_k is N_k / pi_k (the notes have N_k, and n / K for the multiplier n: mistake 16).
Rows are whitened first, by the mean covariance within the clusters of k-means that the
restarts begin with: columns that depend on each other would make a narrow valley, and
the penalty, which is relative to the variances of whitened rows, would exceed those of
components that are far apart in units of all rows. Steps are L-BFGS's; the penalty
prevents a component from collapsing onto a single row, where the likelihood is
unbounded.

Source: CS280 homework 1, "GMM gradients".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular
from scipy.special import log_softmax, softmax

from ftml.config import FamilyConfig, Integers, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import apply_scaling, check_inverse, learn_scaling
from ftml.families.density import gmm
from ftml.families.density._em import Moments, expect
from ftml.families.density._mixture import Model, whitening
from ftml.families.linear import _lbfgs

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "density"

RIDGE = 1e-6
"""Added to the rows' correlations before they are whitened by them: where columns
depend on each other in full, or rows are few."""
FLOOR = 1e-9
"""Added to the covariance of each cluster, in units of that of all rows: where rows
repeat, clusters have none."""


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1), Integers(1, 8)] = 2
    "k, at most the number of training rows"

    n_init: Annotated[int, Field(ge=1)] = 2
    "restarts, each from a k-means of its own; the best one is the model"

    penalty: Annotated[float, Field(gt=0), LogUniform(1e-5, 1e-2)] = 1e-4
    """half of it times |U|^2 is added to the mean loss: in units of the mean variance
    within the clusters of k-means approximately the amount added to each variance,
    divided by pi_k
    """

    n_iterations: Annotated[int, Field(ge=1)] = 500
    "steps; training stops earlier when the gradient is below `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-5
    "largest absolute entry of the gradient at which training stops"


class Parameters(NamedTuple):
    """The parameters of R mixtures, each an array."""

    a: np.ndarray
    "(R, k): logits of the weights"

    means: np.ndarray
    "(R, k, d)"

    U: np.ndarray
    "(R, k, d, d): upper triangular"


def flat(parameters: Parameters) -> np.ndarray:
    """Return the free parameters, (R, P): logits, means, triangles with log
    diagonals.
    """
    a, means, U = parameters
    R, d = len(a), means.shape[2]
    rows, columns = np.triu_indices(d)
    free = U[:, :, rows, columns]
    free[:, :, rows == columns] = np.log(free[:, :, rows == columns])
    return np.concatenate([a, means.reshape(R, -1), free.reshape(R, -1)], axis=1)


def shaped(theta: np.ndarray, *, k: int, d: int) -> Parameters:
    """Return the parameters that the free parameters theta (R, P) represent."""
    R = len(theta)
    a, means, free = np.split(theta, [k, k + k * d], axis=1)
    rows, columns = np.triu_indices(d)
    U = np.zeros((R, k, d, d))
    U[:, :, rows, columns] = free.reshape(R, k, -1)
    diagonal = np.arange(d)
    # L-BFGS may try a step at which exp overflows; the loss is then inf and the step is
    # rejected.
    U[:, :, diagonal, diagonal] = np.exp(np.minimum(U[:, :, diagonal, diagonal], 300.0))
    return Parameters(a, means.reshape(R, k, d), U)


def loss_and_gradient(
    theta: np.ndarray, X: np.ndarray, *, k: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the objectives (R,) at theta (R, P), and their gradients (R, P).

    X: (n, d).
    """
    n, d = X.shape
    R = len(theta)
    a, means, U = shaped(theta, k=k, d=d)
    log_weights = log_softmax(a, axis=1)
    all_of = (log_weights.reshape(-1), means.reshape(-1, d), U.reshape(-1, d, d))
    moments = expect(X, *all_of, np.full(R, k))
    counts, first, second = _by_member(moments, R)
    in_a = counts - n * np.exp(log_weights)
    in_means = np.einsum("rkij,rkj->rki", U, first)
    # C = U^-T takes whitened moments back: sum r (x - mu) y' = C second.
    C = np.swapaxes(np.linalg.inv(U), 2, 3)
    in_U = -np.triu(C @ second)
    diagonal = np.arange(d)
    own = U[:, :, diagonal, diagonal]
    in_U[:, :, diagonal, diagonal] += counts[:, :, None] / own
    in_U = -in_U / n + penalty * U
    in_U[:, :, diagonal, diagonal] *= own  # d U / d log U
    rows, columns = np.triu_indices(d)
    gradient = np.concatenate(
        [
            -in_a / n,
            -in_means.reshape(R, -1) / n,
            in_U[:, :, rows, columns].reshape(R, -1),
        ],
        axis=1,
    )
    loss = -moments.log_lik / n + 0.5 * penalty * np.sum(U**2, axis=(1, 2, 3))
    return loss, gradient


def _by_member(moments: Moments, R: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts (R, k), first (R, k, d) and second (R, k, d, d)."""
    counts, first, second = (
        each.reshape(R, -1, *each.shape[1:]) for each in moments[1:]
    )
    return counts, first, second


def whitened(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y (n, d) of X = m + y C', the centre m and the lower triangle C (d, d)."""
    scaling = learn_scaling(X)
    check_inverse(scaling.scale)
    scaled = apply_scaling(X, scaling)
    correlation = scaled.T @ scaled / len(X) + RIDGE * np.eye(X.shape[1])
    root = np.linalg.cholesky(correlation)
    return whiten(scaled, root), scaling.center, scaling.scale[:, None] * root


def begin(config: Config, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the free parameters (R, P) of mixtures that are clusters of rows, the rows
    X (n, d) that they are of, and the lower triangle C (d, d) of y = X C'.

    y: (n, d), whitened by the covariance of all rows. X is whitened by the covariance
    within the clusters of the most likely restart, if they have fewer means than rows.
    """
    (n, d), k = y.shape, config.n_components
    start = gmm.Config(
        seed=config.seed, n_components=k, n_init=config.n_init, reg_covar=FLOOR
    )
    state = gmm.begin(start, gmm.Problem(y, None, np.zeros(d)))
    R, best = config.n_init, int(state["log_lik"].argmax())
    roots, weights = state["roots"][best], state["weights"][best]
    within = np.einsum("k,kij,klj->il", weights, roots, roots) * n / max(n - k, 1)
    C = np.linalg.cholesky(within if n > k else np.eye(d))
    scaled = np.linalg.solve(C, state["roots"].reshape(R * k, d, d))
    covariances = scaled @ scaled.swapaxes(1, 2) + config.penalty * np.eye(d)
    U = whitening(np.linalg.cholesky(covariances)).reshape(R, k, d, d)
    means = whiten(state["means"].reshape(R * k, d), C).reshape(R, k, d)
    theta = flat(Parameters(np.log(state["weights"]), means, U))
    return theta, whiten(y, C), C


def whiten(rows: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return y (n, d) of rows = y C', for a lower triangle C (d, d)."""
    y: np.ndarray = solve_triangular(C, rows.T, lower=True).T
    return y


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until the gradient is small or the steps are done.

    Raises ValueError for more components than rows.
    """
    y, center, root = whitened(data.train.X)
    first, X, C = begin(config, y)
    root, k = root @ C, config.n_components

    def objective(
        theta: np.ndarray, members: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(over="ignore", invalid="ignore"):
            loss, gradient = loss_and_gradient(
                theta[:, 0], X, k=k, penalty=config.penalty
            )
        return loss, gradient[:, None]

    if state is None:
        batch, n = _lbfgs.start(first[:, None], objective), 0
    else:
        batch, n = (
            _lbfgs.Batch(*(state[name] for name in _lbfgs.Batch._fields)),
            state["n"],
        )
    # The first step is always made, because the clusters of a single component are its
    # optimum.
    while n < config.n_iterations and (
        n == 0 or np.abs(batch.gradient).max() > config.tolerance
    ):
        batch = _lbfgs.advance(batch, objective, _unchanged)
        n += 1
        yield _step(batch, n, center, root, k=k)


def _unchanged(v: np.ndarray) -> np.ndarray:
    return v


def _step(
    batch: _lbfgs.Batch, n: int, center: np.ndarray, root: np.ndarray, *, k: int
) -> Step:
    """Return the step of a batch; its model is for columns in their own units."""
    best = int(batch.value.argmin())
    a, means, U = shaped(batch.theta[best], k=k, d=len(center))
    # Of whitened rows C is U^-T; both factors are lower triangles.
    roots = root @ np.swapaxes(np.linalg.inv(U[0]), 1, 2)
    model = Model(softmax(a[0]), center + means[0] @ root.T, roots)
    log_det = float(np.log(np.diag(root)).sum())
    metrics = {
        "train_objective": float(batch.value[best]) + log_det,
        "train_gradient": float(np.abs(batch.gradient[best]).max()),
    }
    return Step(n, metrics, model, {**batch._asdict(), "n": n})
