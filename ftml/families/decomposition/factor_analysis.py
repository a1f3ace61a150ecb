"""Factor analysis by expectation-maximisation: a few factors, and noise of each column.

    E:  B = W' A^-1,   G = I - B W + B S B'
    M:  W = S B' G^-1,   psi = diag(S - W B S)

Axes: n rows, d columns, q factors; A = W W' + diag(psi). The data enter only through
their covariance S, divided by n. The mean log-likelihood is

    -(1/2) (tr(S A^-1) + log |A| + d log 2 pi)

(the notes have the wrong sign before log |A|: mistake 45); at its maximum S A^-1 W = W.
Columns are scaled to variance 1 first, which only rescales the solution.

Source: Deep learning cheat sheet, 17.3; Rubin and Thayer (1982), "EM algorithms for ML
factor analysis".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from ftml.config import FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import (
    Scaling,
    apply_scaling,
    check_squares,
    learn_scaling,
)
from ftml.families.decomposition._factors import Model, check_factors
from ftml.families.decomposition.pca import eigen

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "density"


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1), Integers(1, 3)] = 2
    "q, fewer than the columns"

    min_noise: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    """smallest noise variance, in units of the column's own variance, 1 for a constant
    column: if a factor explains a column completely, the likelihood is unbounded
    """

    n_iterations: Annotated[int, Field(ge=1)] = 1000
    "steps; training stops earlier when the log-likelihood hardly changes"

    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    "change of the mean log-likelihood, in nats, at which training stops"


def begin(X: np.ndarray, *, q: int, min_noise: float) -> State:
    """Return the state before the first step: probabilistic PCA of scaled rows."""
    values, rows = eigen(X)
    d = X.shape[1]
    values = np.append(values, np.zeros(d))[:d]  # fewer rows than columns
    noise = max(float(values[q:].mean()), min_noise)
    W = np.zeros((d, q))
    W[:, : len(rows[:q])] = rows[:q].T
    W *= np.sqrt(np.maximum(values[:q] - noise, min_noise))
    return {"n": 0, "W": W, "psi": np.full(d, noise), "log_lik": -np.inf}


def em_step(
    S: np.ndarray, W: np.ndarray, psi: np.ndarray, *, min_noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return W (d, q) and psi (d,) after an E and an M step; S: (d, d)."""
    B = cho_solve(cho_factor(W @ W.T + np.diag(psi)), W).T
    BS = B @ S
    G = np.eye(W.shape[1]) - B @ W + BS @ B.T
    W = np.linalg.solve(G, BS).T
    psi = np.diag(S) - np.einsum("dq,qd->d", W, BS)
    return W, np.maximum(psi, min_noise)


def mean_log_likelihood(S: np.ndarray, W: np.ndarray, psi: np.ndarray) -> float:
    """Return the mean log-likelihood of centred rows whose covariance is S (d, d)."""
    factor = cho_factor(W @ W.T + np.diag(psi))
    log_det = 2 * np.log(np.diag(factor[0])).sum()
    trace = np.trace(cho_solve(factor, S))
    return -0.5 * float(trace + log_det + len(S) * np.log(2 * np.pi))


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each EM step, until the log-likelihood hardly changes.

    Raises ValueError for as many factors as columns, and for a column whose variance is
    no double-precision number.
    """
    scaling = learn_scaling(data.train.X)
    for j, name in enumerate(data.train.feature_names):
        check_squares(data.train.X[:, [j]], [name])
    X = apply_scaling(data.train.X, scaling)
    check_factors(config.n_components, X.shape[1])
    S = X.T @ X / len(X)
    if state is None:
        state = begin(X, q=config.n_components, min_noise=config.min_noise)
    done = bool(state.get("done"))
    while state["n"] < config.n_iterations and not done:
        W, psi = em_step(S, state["W"], state["psi"], min_noise=config.min_noise)
        log_lik = mean_log_likelihood(S, W, psi)
        done = log_lik - state["log_lik"] <= config.tolerance
        state = {
            "n": state["n"] + 1,
            "W": W,
            "psi": psi,
            "log_lik": log_lik,
            "done": done,
        }
        yield _step(state, scaling)


def _step(state: State, scaling: Scaling) -> Step:
    """Return the step of a state; its model is for columns in their own units."""
    loadings = scaling.scale[:, None] * state["W"]
    model = Model(scaling.center, loadings, scaling.scale**2 * state["psi"])
    log_lik = state["log_lik"] - float(np.log(scaling.scale).sum())
    return Step(state["n"], {"train_log_likelihood": log_lik}, model, state)
