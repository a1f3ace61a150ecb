"""L-BFGS on many convex objectives at once: one product of matrices serves them all.

    theta <- theta - t H g,   H ~ inverse Hessian, from m pairs (s, y) and from H_0

Axes: B members (objectives), k outputs, d coefficients, m pairs. A member's own
arrays are (k, d), those of all (B, k, d). t is the first of 1, 1/2, 1/4, ... that
lowers the objective by 1e-4 of what its slope promises. Convexity makes y's >= 0; a
pair for which rounding says otherwise is zero, and a pair of zeros adds nothing: so
that members may have different numbers of pairs.

Source: Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MEMORY = 10
"m, the pairs remembered."

HALVINGS = 30
"Where so many halvings do not lower the objective, a member stays where it is."

Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"Of theta (b, k, d) and which members (b,) these are: values (b,) and gradients."

Preconditioner = Callable[[np.ndarray], np.ndarray]
"Of vectors (B, k, d): H_0 times each."


class Batch(NamedTuple):
    """Where all members stand."""

    theta: np.ndarray
    "(B, k, d)"

    value: np.ndarray
    "(B,)"

    gradient: np.ndarray
    "(B, k, d)"

    steps: np.ndarray
    "(B, m, k, d): s, the differences of theta, the newest last; zeros where none is"

    changes: np.ndarray
    "(B, m, k, d): y, the differences of the gradient"


def start(theta: np.ndarray, objective: Objective) -> Batch:
    """Return the batch at theta (B, k, d), with nothing remembered."""
    value, gradient = objective(theta, np.arange(len(theta)))
    none = np.zeros((len(theta), MEMORY, *theta.shape[1:]))
    return Batch(theta, value, gradient, none, none)


def advance(batch: Batch, objective: Objective, precondition: Preconditioner) -> Batch:
    """Return the batch after one step of every member."""
    direction = -_inverse_hessian_times_gradient(batch, precondition)
    theta, value, gradient = _line_search(batch, direction, objective)
    return Batch(
        theta,
        value,
        gradient,
        _pushed(batch.steps, theta - batch.theta),
        _pushed(batch.changes, gradient - batch.gradient),
    )


def _pushed(pairs: np.ndarray, newest: np.ndarray) -> np.ndarray:
    return np.concatenate([pairs[:, 1:], newest[:, None]], axis=1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the inner product of each member's arrays, (B, 1, 1) for (B, k, d)."""
    return np.einsum("bkd,bkd->b", a, b)[:, None, None]


def _inverse_hessian_times_gradient(
    batch: Batch, precondition: Preconditioner
) -> np.ndarray:
    """Return H g by the recursion over the pairs, newest to oldest and back."""
    pairs = []
    for j in range(MEMORY):
        s, y = batch.steps[:, j], batch.changes[:, j]
        sy, yy = _dot(s, y), _dot(y, y)
        sound = sy > np.finfo(float).eps * yy
        if sound.any():
            pairs.append((s, y, np.divide(1.0, sy, out=0.0 * sy, where=sound)))
    q, weights = batch.gradient, []
    for s, y, rho in reversed(pairs):
        weights.append(rho * _dot(s, q))
        q = q - weights[-1] * y
    r = precondition(q)
    if pairs:
        s, y, rho = pairs[-1]
        known = rho * _dot(y, precondition(y))
        r = r * np.divide(1.0, known, out=np.ones_like(known), where=known > 0)
    for (s, y, rho), weight in zip(pairs, reversed(weights), strict=True):
        r = r + s * (weight - rho * _dot(y, r))
    return r


def _line_search(
    batch: Batch, direction: np.ndarray, objective: Objective
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return theta, value and gradient at each member's first sufficient step."""
    slope = _dot(batch.gradient, direction)[:, 0, 0]
    # Near the optimum a step changes the value by less than its rounding.
    slack = 4 * np.finfo(float).eps * np.abs(batch.value)
    theta, value = batch.theta.copy(), batch.value.copy()
    gradient = batch.gradient.copy()
    waiting = np.arange(len(theta))
    for halving in range(HALVINGS):
        t = 0.5**halving
        tried = batch.theta[waiting] + t * direction[waiting]
        values, gradients = objective(tried, waiting)
        promised = batch.value[waiting] + 1e-4 * t * slope[waiting] + slack[waiting]
        good = values <= promised
        theta[waiting[good]], value[waiting[good]] = tried[good], values[good]
        gradient[waiting[good]] = gradients[good]
        waiting = waiting[~good]
        if not len(waiting):
            break
    return theta, value, gradient
