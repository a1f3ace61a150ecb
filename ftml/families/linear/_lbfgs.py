"""L-BFGS on many convex objectives at once, with one matrix product for all of them.

    theta <- theta - t H g,   H ~ inverse Hessian, from m pairs (s, y) and from H_0

Axes: B members (objectives), k outputs, d coefficients, m pairs. A member's own arrays
are (k, d), those of all (B, k, d). t is the first of 1, 1/2, 1/4, ... that lowers the
objective by 1e-4 of the linear prediction. Convexity makes y's >= 0; a pair that
violates this by rounding is set to zero, and a pair of zeros adds nothing, so members
may have different numbers of pairs.

Source: Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MEMORY = 10
"m, the default number of stored pairs."

HALVINGS = 30
"A member does not move if this number of halvings does not lower its objective."

Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A function of theta (b, k, d) and the members (b,) that returns values (b,) and
gradients.
"""

Preconditioner = Callable[[np.ndarray], np.ndarray]
"A function that multiplies each of the vectors (B, k, d) by H_0."


class Batch(NamedTuple):
    """The current iterate of all members."""

    theta: np.ndarray
    "(B, k, d)"

    value: np.ndarray
    "(B,)"

    gradient: np.ndarray
    "(B, k, d)"

    steps: np.ndarray
    "(B, m, k, d): s, the differences of theta, the newest last; zeros if there is none"

    changes: np.ndarray
    "(B, m, k, d): y, the differences of the gradient"


def start(theta: np.ndarray, objective: Objective, *, memory: int = MEMORY) -> Batch:
    """Return the batch at theta (B, k, d), with space for `memory` pairs."""
    value, gradient = objective(theta, np.arange(len(theta)))
    none = np.zeros((len(theta), memory, *theta.shape[1:]))
    return Batch(theta, value, gradient, none, none)


def advance(batch: Batch, objective: Objective, precondition: Preconditioner) -> Batch:
    """Return the batch after one step of every member."""
    direction = -_inverse_hessian_times_gradient(batch, precondition)
    theta, value, gradient = _line_search(batch, direction, objective)
    s, y = theta - batch.theta, gradient - batch.gradient
    sound = _dot(s, y) > np.finfo(float).eps * _dot(y, y)
    return Batch(
        theta,
        value,
        gradient,
        _pushed(batch.steps, np.where(sound[:, None, None], s, 0.0)),
        _pushed(batch.changes, np.where(sound[:, None, None], y, 0.0)),
    )


def _pushed(pairs: np.ndarray, newest: np.ndarray) -> np.ndarray:
    return np.concatenate([pairs[:, 1:], newest[:, None]], axis=1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner product of each member's arrays, (B,) for (B, k, d)."""
    return np.einsum("bkd,bkd->b", a, b)


def _inverse_hessian_times_gradient(
    batch: Batch, precondition: Preconditioner
) -> np.ndarray:
    """Return H g. The two loops over the pairs are two triangular systems:

    U a = S g,   z = gamma H_0 (g - Y'a),   U'c = diag(U) a - Y z,   H g = z + S'c,

    with the pairs in the rows of S and Y, oldest first; U is the upper triangle of SY'.
    """
    B, m = batch.steps.shape[:2]
    S, Y = batch.steps.reshape(B, m, -1), batch.changes.reshape(B, m, -1)
    U = np.triu(S @ Y.transpose(0, 2, 1))
    own = np.einsum("bmm->bm", U)
    none = own == 0.0  # a pair of zeros: its equation becomes 1 a = 0
    system = U + none[:, :, None] * np.eye(m)
    a = np.linalg.solve(system, S @ batch.gradient.reshape(B, -1, 1))
    rest = batch.gradient - (Y.transpose(0, 2, 1) @ a).reshape(batch.gradient.shape)
    z = _scale(batch, precondition)[:, None, None] * precondition(rest)
    right = own[:, :, None] * a - Y @ z.reshape(B, -1, 1)
    c = np.linalg.solve(system.transpose(0, 2, 1), right)
    return z + (S.transpose(0, 2, 1) @ c).reshape(z.shape)


def _scale(batch: Batch, precondition: Preconditioner) -> np.ndarray:
    """Return gamma (B,): s'y / y'H_0 y of the newest pair, 1 if there is none."""
    s, y = batch.steps[:, -1], batch.changes[:, -1]
    known = _dot(y, precondition(y))
    return np.divide(_dot(s, y), known, out=np.ones_like(known), where=known > 0)


def _line_search(
    batch: Batch, direction: np.ndarray, objective: Objective
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return theta, value and gradient at each member's first sufficient step."""
    slope = _dot(batch.gradient, direction)
    # Near the optimum a step changes the value by less than its rounding.
    enough = batch.value + 4 * np.finfo(float).eps * np.abs(batch.value)
    theta = batch.theta + direction
    value, gradient = objective(theta, np.arange(len(theta)))
    waiting = np.flatnonzero(~(value <= enough + 1e-4 * slope))  # NaN waits too
    for halving in range(1, HALVINGS + 1):
        if not len(waiting):
            return theta, value, gradient
        t = 0.5**halving
        theta[waiting] = batch.theta[waiting] + t * direction[waiting]
        value[waiting], gradient[waiting] = objective(theta[waiting], waiting)
        promised = enough[waiting] + 1e-4 * t * slope[waiting]
        waiting = waiting[~(value[waiting] <= promised)]
    for new, old in ((theta, batch.theta), (value, batch.value)):
        new[waiting] = old[waiting]
    gradient[waiting] = batch.gradient[waiting]
    return theta, value, gradient
