"""Linear classifiers with an L2 penalty, for one penalty or for many in one product.

    minimise  (1/n) sum_i l(z_i, y_i) + (alpha/2) |W|^2,   z_i = W x_i + b

Axes: n samples, d features, k outputs, B members (penalties). The Hessian is at most
c X'X/n + alpha I (c = 1/4 for logistic loss, 1/2 for softmax), whatever the weights.
That bound is inverted for all penalties by one eigendecomposition X'X/n = Q diag(v) Q',
and preconditions L-BFGS: columns of any scale and correlation converge alike.

Source: Boehning (1992), "Multinomial logistic regression algorithm", for the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Table
from ftml.data.standardize import Scaling
from ftml.families.linear import _lbfgs
from ftml.families.linear._columns import centred_and_scaled, for_raw_columns

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


@dataclass(frozen=True)
class Problem:
    """The data of one pack, and what all its penalties share."""

    X: np.ndarray
    "(n, d + 1): centred columns, the last one ones"

    scaling: Scaling
    loss: Loss

    bound: float
    "c: the largest second derivative of the loss"

    values: np.ndarray
    "(d,): eigenvalues of X'X/n without the last column, 0 where only rounding is left"

    vectors: np.ndarray
    "(d, d): their eigenvectors in columns"


def make_problem(
    data: Table, loss: Loss, *, bound: float, standardize: bool
) -> Problem:
    """Return the problem of a loss on a table."""
    X, scaling = centred_and_scaled(data.X, standardize=standardize)
    values, vectors = np.linalg.eigh(X.T @ X / len(X))
    rounding = len(values) * np.finfo(float).eps * values.max(initial=0.0)
    values = np.where(values > rounding, values, 0.0)
    ones = np.ones((len(X), 1))
    return Problem(np.hstack([X, ones]), scaling, loss, bound, values, vectors)


def objective(problem: Problem, alpha: np.ndarray) -> _lbfgs.Objective:
    """Return the objectives of the penalties alpha (B,)."""
    X = problem.X
    n = len(X)

    def evaluate(
        theta: np.ndarray, members: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        b, k, d = theta.shape
        scores = (theta.reshape(b * k, d) @ X.T).reshape(b, k, n)
        value, residual = problem.loss(scores)
        weights, penalty = theta[..., :-1], alpha[members]
        value = value + 0.5 * penalty * np.einsum("bkd,bkd->b", weights, weights)
        gradient = (residual.reshape(b * k, n) @ X).reshape(b, k, d) / n
        gradient[..., :-1] += penalty[:, None, None] * weights
        return value, gradient

    return evaluate


def preconditioner(problem: Problem, alpha: np.ndarray) -> _lbfgs.Preconditioner:
    """Return the product with (c X'X/n + alpha I)^-1, its pseudo-inverse at alpha = 0.

    Centred columns are orthogonal to the ones: the intercept stands alone, at 1/c.
    """
    curvature = problem.bound * problem.values + alpha[:, None]  # (B, d)
    seen = curvature > 0
    inverse = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=seen)

    def times(v: np.ndarray) -> np.ndarray:
        weights = (v[..., :-1] @ problem.vectors * inverse[:, None]) @ problem.vectors.T
        return np.concatenate([weights, v[..., -1:] / problem.bound], axis=-1)

    return times


def run(
    configs: Sequence[PenalisedConfig],
    states: Sequence[State | None],
    problems: dict[bool, Problem],
    model: Callable[[np.ndarray], Any],
    *,
    k: int,
) -> Iterator[list[Step | None]]:
    """Yield the next step of every configuration, None for one that has ended.

    `problems` by `standardize`; `model` of theta (d + 1, k) for raw columns.
    """
    now = [
        _first(config, problems[config.standardize], k=k) if state is None else state
        for config, state in zip(configs, states, strict=True)
    ]
    while True:
        steps: list[Step | None] = [None] * len(configs)
        for standardize, problem in problems.items():
            alive = [
                i
                for i, config in enumerate(configs)
                if config.standardize == standardize
                and now[i]["n"] < config.n_iterations
                and not now[i]["done"]
            ]
            if alive:
                moved = _advance(
                    [configs[i] for i in alive], [now[i] for i in alive], problem
                )
                for i, state in zip(alive, moved, strict=True):
                    now[i], steps[i] = state, _step(state, problem, model)
        if not any(steps):
            return
        yield steps


def _first(config: PenalisedConfig, problem: Problem, *, k: int) -> State:
    """Return the state before the first step: weights of zero."""
    evaluate = objective(problem, np.array([config.alpha]))
    batch = _lbfgs.start(np.zeros((1, k, problem.X.shape[1])), evaluate)
    return _states(batch, [0], [config])[0]


def _advance(
    configs: Sequence[PenalisedConfig], states: Sequence[State], problem: Problem
) -> list[State]:
    """Return the states of these members after one step of each."""
    alpha = np.array([config.alpha for config in configs])
    batch = _lbfgs.Batch(
        *(np.stack([state[name] for state in states]) for name in _lbfgs.Batch._fields)
    )
    batch = _lbfgs.advance(
        batch, objective(problem, alpha), preconditioner(problem, alpha)
    )
    return _states(batch, [state["n"] + 1 for state in states], configs)


def _states(
    batch: _lbfgs.Batch, counts: Sequence[int], configs: Sequence[PenalisedConfig]
) -> list[State]:
    sizes = np.abs(batch.gradient).max(axis=(1, 2))
    return [
        {
            **{name: array[i] for name, array in batch._asdict().items()},
            "n": counts[i],
            "done": bool(counts[i] > 0 and sizes[i] <= config.tolerance),
        }
        for i, config in enumerate(configs)
    ]


def _step(state: State, problem: Problem, model: Callable[[np.ndarray], Any]) -> Step:
    metrics = {
        "train_objective": float(state["value"]),
        "train_gradient": float(np.abs(state["gradient"]).max()),
    }
    theta = for_raw_columns(state["theta"].T, problem.scaling)
    return Step(state["n"], metrics, model(theta), state)
