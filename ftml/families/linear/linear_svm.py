"""Linear support vector machine: hinge or squared hinge surrogate, with a duality gap.

    P(w) = (1/n) sum_i l(y_i w'x_i) + (alpha/2) |w|^2,   l(m) = (1 - m)_+ or (1 - m)_+^2
    D(a) = (1/n) sum_i (a_i - c a_i^2) - |X'(a y)|^2 / (2 alpha n^2)
    w = X'(a y) / (alpha n),   0 <= a_i <= 1, c = 0   or   a_i >= 0, c = 1/4

Axes: n samples, d features; y_i is -1 or 1; X has a last column of ones, so that the
intercept is penalised too (or the dual has a constraint that couples its variables).
The hinge has no gradient at 1, its dual is smooth: both are solved there, by Nesterov's
projected steps of 1/L, L = lambda_max(X'X) / (alpha n^2) + 2c/n, restarted when the
momentum is no descent direction. P(w) - D(a) >= P(w) - P* is the gap at which training
stops. The probabilities 1 / (1 + exp(-w'x)) rank as w'x does; the hinge does not
calibrate them. scikit-learn's C is 1 / (n alpha). With `class_weight` the loss of
sample i is multiplied by u_i; then a_i <= u_i for the hinge, and c = 1 / (4 u_i).

Source: FTML lecture 9, "Convex surrogates for classification"; the dual: Hsieh et al.
(2008), "A dual coordinate descent method for large-scale linear SVM".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import scipy.linalg
from pydantic import Field

from ftml.config import Choice, FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.class_weights import ClassWeight, sample_weights
from ftml.data.standardize import Scaling
from ftml.families.linear._binary import Model, signs
from ftml.families.linear._columns import centred_and_scaled, for_raw_columns

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2
Weights = np.ndarray | float
"Weights of the samples (n,), or 1 for all of them."


class Config(FamilyConfig):
    alpha: Annotated[float, Field(gt=0), LogUniform(1e-5, 1e0)] = 1e-2
    "L2 penalty on weights and intercept, in the units of the mean loss"

    surrogate: Annotated[
        Literal["hinge", "squared_hinge"], Choice("hinge", "squared_hinge")
    ] = "squared_hinge"
    "l, the convex surrogate of the 0-1 loss"

    n_iterations: Annotated[int, Field(ge=1)] = 500
    "steps; training stops earlier when the gap is below `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-4
    "gap between primal and dual objective at which training stops"

    class_weight: ClassWeight = None
    """`balanced` multiplies the loss of a sample by n / (2 n_c), for n_c samples of its
    class, so that both classes have the same weight"""


@dataclass(frozen=True)
class Problem:
    """The data, and what a step needs of them. Signs are not multiplied into the rows,
    so that members of one_vs_rest share them.
    """

    X: np.ndarray
    "(n, d + 1): centred and scaled columns, the last one ones"

    scaling: Scaling

    largest: float
    "lambda_max(X'X)"

    y: np.ndarray
    "(n,): -1 or 1"

    u: Weights


def make_problem(config: Config, table: Table, like: Problem | None = None) -> Problem:
    """Return the problem of a table.

    like: the problem of another table of the same X. Raises ValueError unless the table
    has two classes.
    """
    y = signs(table)
    weights = sample_weights(table.y, config.class_weight)
    u: Weights = 1.0 if weights is None else weights
    if like is not None:
        return replace(like, y=y, u=u)
    scaled, scaling = centred_and_scaled(table.X, standardize=True)
    X = np.column_stack([scaled, np.ones(len(y))])
    return Problem(X, scaling, _largest_eigenvalue(X), y, u)


def _largest_eigenvalue(X: np.ndarray) -> float:
    """Return that of X'X, from the smaller of X'X and XX'."""
    gram = X @ X.T if len(X) < X.shape[1] else X.T @ X
    last = len(gram) - 1
    values = scipy.linalg.eigh(gram, eigvals_only=True, subset_by_index=[last, last])
    return float(values[0])


def primal(
    w: np.ndarray, Xy: np.ndarray, *, alpha: float, surrogate: str, u: Weights = 1.0
) -> float:
    """Return P(w) for w (d + 1,), the rows y_i x_i, Xy (n, d + 1), and their weights
    u (n,).
    """
    return _primal(w, Xy @ w, alpha=alpha, surrogate=surrogate, u=u)


def _primal(
    w: np.ndarray, margin: np.ndarray, *, alpha: float, surrogate: str, u: Weights
) -> float:
    short = np.maximum(1.0 - margin, 0.0)
    loss = u * (short if surrogate == "hinge" else short**2)
    return float(loss.mean() + 0.5 * alpha * w @ w)


def dual(
    a: np.ndarray, Xy: np.ndarray, *, alpha: float, surrogate: str, u: Weights = 1.0
) -> float:
    """Return D(a) for a (n,) within its bounds, and weights u (n,)."""
    w = Xy.T @ a / (alpha * len(a))
    return _dual(a, w, alpha=alpha, surrogate=surrogate, u=u)


def _dual(
    a: np.ndarray, w: np.ndarray, *, alpha: float, surrogate: str, u: Weights
) -> float:
    square = 0.0 if surrogate == "hinge" else 0.25 * np.mean(a**2 / u)
    return float(a.mean() - square - 0.5 * alpha * w @ w)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until the gap is small or the steps are done.

    Raises ValueError unless the data has two classes.
    """
    yield from _run(config, make_problem(config, data.train), state)


def train_members(
    config: Config, tables: Iterable[Table], states: Sequence[State | None]
) -> list[Iterator[Step]]:
    """Return `train` of each table; tables of the same X share what it determines."""
    runs, X, problem = list[Iterator[Step]](), None, None
    for table, state in zip(tables, states, strict=True):
        problem = make_problem(config, table, problem if table.X is X else None)
        X = table.X
        runs.append(_run(config, problem, state))
    return runs


def _run(config: Config, problem: Problem, state: State | None) -> Iterator[Step]:
    X, y, n = problem.X, problem.y, len(problem.y)
    if state is None:
        none = np.zeros(n)
        state = {"n": 0, "a": none, "ahead": none, "momentum": 1.0, "done": False}
    alpha, surrogate, u = config.alpha, config.surrogate, problem.u
    while state["n"] < config.n_iterations and not state["done"]:
        state = _next_state(state, problem, config)
        w = X.T @ (y * state["a"]) / (alpha * n)
        objective = _primal(w, y * (X @ w), alpha=alpha, surrogate=surrogate, u=u)
        gap = objective - _dual(state["a"], w, alpha=alpha, surrogate=surrogate, u=u)
        state["done"] = gap <= config.tolerance
        metrics = {"train_objective": objective, "train_gap": gap}
        model = Model(for_raw_columns(w, problem.scaling))
        yield Step(state["n"], metrics, model, state)


def _next_state(state: State, problem: Problem, config: Config) -> State:
    """Return the state after one projected step up n D."""
    X, y, u, n = problem.X, problem.y, problem.u, len(problem.y)
    a, ahead = state["a"], state["ahead"]
    hinge = config.surrogate == "hinge"
    curved = 0.0 if hinge else 0.5 / u
    w = X.T @ (y * ahead) / (config.alpha * n)
    slope = 1.0 - curved * ahead - y * (X @ w)
    step_size = 1.0 / (problem.largest / (config.alpha * n) + np.max(curved))
    moved = np.clip(ahead + step_size * slope, 0.0, u if hinge else None)
    downhill = (moved - ahead) @ (moved - a) < 0
    before = 1.0 if downhill else state["momentum"]
    momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * before**2))
    return {
        "n": state["n"] + 1,
        "a": moved,
        "ahead": moved + (before - 1.0) / momentum * (moved - a),
        "momentum": float(momentum),
        "done": False,
    }
