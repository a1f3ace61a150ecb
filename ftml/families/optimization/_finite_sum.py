"""The finite sum that the solvers of this chapter minimise, and their common loop.

    g(theta) = (1/n) sum_i g_i(theta)
    g_i(theta) = log(1 + exp(-y_i x_i'theta)) + (mu/2) |theta|^2

Axes: n samples, d coefficients, the intercept among them. x_i are rows of centred and
scaled features and a last 1; y_i is -1 or 1; mu is `alpha` of the configuration. The
penalty holds the intercept too, so that g is mu-strongly convex, as the rates assume.
Each g_i has a gradient of Lipschitz constant L_i = |x_i|^2 / 4 + mu, and g one of
L = lambda_max(X'X) / (4n) + mu. A solver is a function from the state before a pass to
the state after it; a pass costs n gradients of g_i. After each, `train_gap` is
g(theta) - g*, with g* found by Newton's method before the first and kept in the state.

Source: FTML lecture 9, "Empirical risk minimization".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import numpy as np
import scipy.linalg
from pydantic import Field
from scipy.special import expit

from ftml.compiled import compiled
from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import Scaling
from ftml.families.linear import _lbfgs
from ftml.families.linear._binary import Model, signs
from ftml.families.linear._columns import centred_and_scaled, for_raw_columns


class SolverConfig(FamilyConfig):
    alpha: Annotated[float, Field(gt=0)] = 1e-2
    "mu: the L2 penalty, which makes the objective strongly convex"

    n_passes: Annotated[int, Field(ge=1)] = 60
    "passes, of n gradients each; training stops earlier at `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-12
    "gap to the optimum at which training stops"


@dataclass(frozen=True)
class FiniteSum:
    """The data of g, its last column ones."""

    X: np.ndarray
    "(n, d)"

    y: np.ndarray
    "(n,): -1 or 1"

    mu: float
    scaling: Scaling

    smoothness: float
    "L"

    smoothness_of_each: np.ndarray
    "(n,): L_i"


def make_sum(table: Table, *, mu: float) -> FiniteSum:
    """Return the finite sum of a table; ValueError unless it has two classes."""
    y = signs(table)
    X, scaling = centred_and_scaled(table.X, standardize=True)
    X = np.column_stack([X, np.ones(len(y))])
    gram = X.T @ X if len(y) >= X.shape[1] else X @ X.T  # with the same largest value
    L = float(np.linalg.eigvalsh(gram)[-1]) / (4 * len(y)) + mu
    return FiniteSum(X, y, mu, scaling, L, np.sum(X**2, axis=1) / 4 + mu)


def objective(g: FiniteSum, theta: np.ndarray) -> float:
    """Return g(theta)."""
    loss = np.logaddexp(0.0, -g.y * (g.X @ theta)).mean()
    return float(loss + 0.5 * g.mu * theta @ theta)


def gradient(g: FiniteSum, theta: np.ndarray) -> np.ndarray:
    """Return the gradient of g, (d,)."""
    slope = -g.y * expit(-g.y * (g.X @ theta))
    return g.X.T @ slope / len(g.y) + g.mu * theta


def hessian(g: FiniteSum, theta: np.ndarray) -> np.ndarray:
    """Return the second derivatives of g, (d, d)."""
    z = g.X @ theta
    curvature = expit(z) * expit(-z) / len(g.y)
    return (g.X.T * curvature) @ g.X + g.mu * np.eye(len(theta))


def newton_step(g: FiniteSum, theta: np.ndarray) -> np.ndarray:
    """Return theta after a step of Newton's method, halved until g falls enough.

    Enough is 1e-4 of the linear prediction. If no step lowers g, the optimum is reached
    up to rounding, and theta is returned.
    """
    slope = gradient(g, theta)
    step = -scipy.linalg.solve(hessian(g, theta), slope, assume_a="pos")
    value = objective(g, theta)
    for halving in range(40):
        moved = theta + 0.5**halving * step
        if objective(g, moved) <= value + 1e-4 * 0.5**halving * slope @ step:
            return moved
    return theta


LARGE = 10**9
"n d^2 from which Newton's method starts near the minimum: a Hessian costs as much."


def in_row_space(g: FiniteSum) -> FiniteSum:
    """Return a sum of n coefficients with the minimum of g, whose rows are fewer than
    its columns.

    theta* is a sum of rows, as the penalty is lowest there: theta* = Q c, with the
    columns of Q (d, n) an orthonormal basis, and |Q c| = |c|.
    """
    Q, _ = np.linalg.qr(g.X.T)
    return replace(g, X=g.X @ Q)


def minimum(g: FiniteSum) -> float:
    """Return g*, to rounding."""
    if g.X.shape[0] < g.X.shape[1]:
        g = in_row_space(g)
    n, d = g.X.shape
    theta = _near_minimum(g) if n * d**2 > LARGE else np.zeros(d)
    best = objective(g, theta)
    while True:
        theta = newton_step(g, theta)
        value = objective(g, theta)
        if not value < best:
            return best
        best = value


def _near_minimum(g: FiniteSum) -> np.ndarray:
    """Return theta (d,) where the gradient of g is below 1e-8, by L-BFGS."""
    values, vectors = np.linalg.eigh(g.X.T @ g.X / (4 * len(g.y)))
    damped = values + values.mean() + g.mu

    def evaluate(
        theta: np.ndarray, members: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        value = [objective(g, each[0]) for each in theta]
        return np.array(value), np.array([[gradient(g, each[0])] for each in theta])

    def precondition(v: np.ndarray) -> np.ndarray:
        return (v @ vectors / damped) @ vectors.T

    batch = _lbfgs.start(np.zeros((1, 1, g.X.shape[1])), evaluate)
    for _ in range(200):
        if np.abs(batch.gradient).max() <= 1e-8:
            break
        batch = _lbfgs.advance(batch, evaluate, precondition)
    found: np.ndarray = batch.theta[0, 0]
    return found


C = TypeVar("C", bound=SolverConfig)


def run(
    config: C,
    data: Splits[Table],
    state: State | None,
    *,
    begin: Callable[[FiniteSum, C], State],
    advance: Callable[[FiniteSum, C, State], State],
) -> Iterator[Step]:
    """Yield after each pass, until the gap is small or the passes are done.

    `begin` returns a solver's state, `theta` in it; `advance` the state after a pass,
    in which `answer`, if there is one, replaces `theta`.
    """
    g = make_sum(data.train, mu=config.alpha)
    if state is None:
        state = {**begin(g, config), "n": 0, "done": False, "minimum": minimum(g)}
    best = state["minimum"]
    while state["n"] < config.n_passes and not state["done"]:
        n = state["n"] + 1
        moved = advance(g, config, state)
        theta = moved["answer"] if "answer" in moved else moved["theta"]
        value = objective(g, theta)
        gap = max(value - best, 0.0)
        if not math.isfinite(value):
            raise ValueError(f"pass {n}: the objective is {value}; take smaller steps")
        state = {**moved, "n": n, "done": gap <= config.tolerance}
        state["minimum"] = best
        metrics = {"train_objective": value, "train_gap": gap}
        yield Step(n, metrics, Model(for_raw_columns(theta, g.scaling)), state)


@compiled
def steepness(margin: float) -> float:
    """Return 1 / (1 + exp(margin)), for margins of any size without overflow.

    For the loops over samples.
    """
    e = math.exp(-abs(margin))
    return (e if margin > 0.0 else 1.0) / (1.0 + e)


def random_indices(
    seed_or_state: int | State, n: int, p: np.ndarray | None = None
) -> tuple[np.ndarray, Any]:
    """Return n random indices below n, with replacement, and the generator's state.

    p: (n,) the probabilities, uniform by default.
    """
    rng = np.random.default_rng(seed_or_state if isinstance(seed_or_state, int) else 0)
    if not isinstance(seed_or_state, int):
        rng.bit_generator.state = seed_or_state
    if p is None:
        return rng.integers(n, size=n), rng.bit_generator.state
    return rng.choice(n, size=n, p=p), rng.bit_generator.state
