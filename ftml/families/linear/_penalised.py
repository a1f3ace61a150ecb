"""Linear classifiers with an L2 penalty, for one penalty, or for many with one matrix
product.

    minimise  (1/n) sum_i u_i l(z_i, y_i) + (alpha/2) |W|^2,   z_i = W x_i + b

Axes: n samples, d features, k outputs, B members (penalties). u_i is the weight of a
sample by its class, 1 without `class_weight`; then the Hessian is at most c X'X/n +
alpha I (c = 1/4 for logistic loss, 1/2 for softmax), whatever W. One eigendecomposition
X'X/n = Q diag(v) Q' inverts that bound, damped by the mean of v, for all penalties, and
preconditions L-BFGS, also where the u_i differ and it is no bound. (Without the
damping, directions in which the samples hardly differ would be treated as flat. Under a
penalty near 0 and with different curvatures of the samples they are not flat.)

Source: Boehning (1992), "Multinomial logistic regression algorithm", for the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Table
from ftml.data.class_weights import ClassWeight
from ftml.data.standardize import Scaling
from ftml.families.linear import _lbfgs
from ftml.families.linear._columns import centred_and_scaled, for_raw_columns

CACHE = 2**17
"Scores that are computed at once: one megabyte."

Loss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"Of scores (b, k, n): mean losses (b,), and n times their derivatives in the scores."


class PenalisedConfig(FamilyConfig):
    alpha: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e0)] = 1e-3
    "L2 penalty on the weights, in the units of the mean log loss"

    n_iterations: Annotated[int, Field(ge=1)] = 300
    "steps; training stops earlier when the gradient is below `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    "largest absolute entry of the gradient at which training stops"

    standardize: bool = True
    "penalise the weights of centred and scaled features; the model takes raw ones"

    class_weight: ClassWeight = None
    """`balanced` multiplies the loss of a sample by n / (k n_c), for n_c samples of its
    class, so that each of the k classes has the same weight"""


Form = tuple[bool, ClassWeight]
"What configurations that share a problem agree in: `standardize` and `class_weight`."


def form_of(config: PenalisedConfig) -> Form:
    """Return what a configuration shares a problem by."""
    return config.standardize, config.class_weight


@dataclass(frozen=True)
class Problem:
    """The data of a batch of configurations, and the quantities that all its penalties
    share.
    """

    X: np.ndarray
    "(n, d + 1): centred columns, the last one ones"

    scaling: Scaling
    loss: Loss

    bound: float
    "c: the largest second derivative of the loss"

    values: np.ndarray
    """(m,): v, eigenvalues of X'X/n without the last column, m = min(n, d); all others
    are 0"""

    vectors: np.ndarray
    "(d, m): Q, their eigenvectors in columns"


def make_problem(
    data: Table, loss: Loss, *, bound: float, standardize: bool
) -> Problem:
    """Return the problem of a loss on a table."""
    X, scaling = centred_and_scaled(
        data.X, standardize=standardize, names=data.feature_names
    )
    values, vectors = _principal(X)
    ones = np.ones((len(X), 1))
    return Problem(np.hstack([X, ones]), scaling, loss, bound, values, vectors)


def _principal(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues (m,) and eigenvectors (d, m) of X'X/n for X (n, d).

    With more columns than rows they are those of XX'/n, so that the cost is not cubic
    in d.
    """
    n, d = X.shape
    if d <= n:
        values, vectors = np.linalg.eigh(X.T @ X / n)
        return np.maximum(values, 0.0), vectors
    values, left = np.linalg.eigh(X @ X.T / n)
    # Centred rows sum to zero, so that one eigenvalue is, and others may be.
    real = values > n * np.finfo(float).eps * values[-1]
    values, left = values[real], left[:, real]
    return values, X.T @ left / np.sqrt(n * values)


def objective(problem: Problem, alpha: np.ndarray) -> _lbfgs.Objective:
    """Return the objectives of the penalties alpha (B,).

    They are computed for a number of members whose scores fit into a core's cache.
    """

    def evaluate(
        theta: np.ndarray, members: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = np.empty(len(theta)), np.empty_like(theta)
        at_once = max(1, CACHE // (theta.shape[1] * len(problem.X)))
        for first in range(0, len(theta), at_once):
            part = slice(first, first + at_once)
            value[part], gradient[part] = _mean_loss(problem, theta[part])
        weights, penalty = theta[..., :-1], alpha[members]
        gradient[..., :-1] += penalty[:, None, None] * weights
        return value + 0.5 * penalty * np.sum(weights**2, axis=(1, 2)), gradient

    return evaluate


def _mean_loss(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean losses (b,) at theta (b, k, d + 1), and their gradients."""
    (b, k, d), n = theta.shape, len(problem.X)
    scores = (theta.reshape(b * k, d) @ problem.X.T).reshape(b, k, n)
    value, residual = problem.loss(scores)
    return value, (residual.reshape(b * k, n) @ problem.X).reshape(b, k, d) / n


def preconditioner(problem: Problem, alpha: np.ndarray) -> _lbfgs.Preconditioner:
    """Return the product with (c X'X/n + (alpha + mean of v) I)^-1, the mean over d.

    Centred columns are orthogonal to the ones: the intercept separates, with the value
    1/c.
    """
    d, m = problem.vectors.shape
    mean = problem.values.sum() / d
    flat = mean + alpha[:, None]  # (B, 1)
    damped = problem.bound * problem.values + mean + alpha[:, None]
    # If no column varies, everything is zero, including every gradient.
    inverse = np.divide(1.0, damped, out=np.zeros_like(damped), where=damped > 0)
    outside = np.divide(1.0, flat, out=np.zeros_like(flat), where=flat > 0)

    def times(v: np.ndarray) -> np.ndarray:
        inner = v[..., :-1] @ problem.vectors
        if m == d:
            weights = (inner * inverse[:, None]) @ problem.vectors.T
        else:
            weights = (inner * (inverse - outside)[:, None]) @ problem.vectors.T
            weights += outside[:, None] * v[..., :-1]
        return np.concatenate([weights, v[..., -1:] / problem.bound], axis=-1)

    return times


def run(
    configs: Sequence[PenalisedConfig],
    states: Sequence[State | None],
    problems: Mapping[Form, Problem],
    model: Callable[[np.ndarray], Any],
    *,
    k: int,
) -> Iterator[list[Step | None]]:
    """Yield the next step of every configuration, None for one that has ended.

    `problems` by `form_of`; `model` of theta (d + 1, k) for raw columns.
    """
    groups = []
    for form, problem in problems.items():
        where = [i for i, c in enumerate(configs) if form_of(c) == form]
        batch = _run_group(
            [configs[i] for i in where], [states[i] for i in where], problem, k=k
        )
        groups.append((where, problem, batch))
    while True:
        steps: list[Step | None] = [None] * len(configs)
        for where, problem, batch in groups:
            for j, state in next(batch, {}).items():
                steps[where[j]] = _step(state, problem, model)
        if not any(steps):
            return
        yield steps


def _run_group(
    configs: Sequence[PenalisedConfig],
    states: Sequence[State | None],
    problem: Problem,
    *,
    k: int,
) -> Iterator[dict[int, State]]:
    """Yield the next state of each configuration that has not ended, by its index."""
    now = [
        _first(config, problem, k=k) if state is None else state
        for config, state in zip(configs, states, strict=True)
    ]
    alive: list[int] = []
    while True:
        before = alive
        alive = [
            i
            for i, config in enumerate(configs)
            if now[i]["n"] < config.n_iterations and not now[i]["done"]
        ]
        if not alive:
            return
        if alive != before:
            batch = _stacked([now[i] for i in alive])
            alpha = np.array([configs[i].alpha for i in alive])
            evaluate = objective(problem, alpha)
            precondition = preconditioner(problem, alpha)
        batch = _lbfgs.advance(batch, evaluate, precondition)
        sizes = np.abs(batch.gradient).max(axis=(1, 2))
        for j, i in enumerate(alive):
            done = bool(sizes[j] <= configs[i].tolerance)
            now[i] = {**_state(batch, j), "n": now[i]["n"] + 1, "done": done}
        yield {i: now[i] for i in alive}


def _first(config: PenalisedConfig, problem: Problem, *, k: int) -> State:
    """Return the state before the first step: weights of zero."""
    evaluate = objective(problem, np.array([config.alpha]))
    batch = _lbfgs.start(np.zeros((1, k, problem.X.shape[1])), evaluate)
    return {**_state(batch, 0), "n": 0, "done": False}


def _stacked(states: Sequence[State]) -> _lbfgs.Batch:
    names = _lbfgs.Batch._fields
    return _lbfgs.Batch(*(np.stack([s[name] for s in states]) for name in names))


def _state(batch: _lbfgs.Batch, j: int) -> State:
    """Return member j's part of the batch."""
    return {name: array[j] for name, array in batch._asdict().items()}


def _step(state: State, problem: Problem, model: Callable[[np.ndarray], Any]) -> Step:
    metrics = {
        "train_objective": float(state["value"]),
        "train_gradient": float(np.abs(state["gradient"]).max()),
    }
    theta = for_raw_columns(state["theta"].T, problem.scaling)
    return Step(state["n"], metrics, model(theta), state)
