"""The regularisation path: a loss at many penalties, each started from the previous
one.

Axes: A penalties, k outputs, d features, m pairs of L-BFGS. From the strongest penalty
to the weakest, training starts at the line through the last two solutions in log alpha,
and with the pairs (s, y) of the last penalty: the penalty contributes alpha s to y, so
y + (alpha' - alpha) s is the exact pair at alpha'. Few further steps are then
necessary.

A path solves all penalties of one training set without intermediate steps; `train_many`
takes the same steps as `train` for each.

Source: Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized
linear models via coordinate descent", for the warm start.
"""

from __future__ import annotations

import numpy as np

from ftml.families.linear import _lbfgs
from ftml.families.linear._penalised import Problem, objective, preconditioner

PAIRS = 20
"m: larger than for a single penalty, because the pairs are reused for many penalties."


def solve_path(
    problem: Problem,
    alphas: np.ndarray,
    *,
    k: int,
    tolerance: float,
    n_iterations: int = 1000,
) -> np.ndarray:
    """Return theta (A, k, d + 1) for centred and scaled columns, intercept last.

    alphas: (A,) positive, in any order. tolerance: the largest absolute entry of the
    gradient at each. n_iterations: the most steps for each. Raises ValueError for a
    penalty that is not positive.
    """
    if not (alphas > 0).all():
        raise ValueError(f"expected penalties above 0, got {alphas.min()}")
    distinct, place = np.unique(alphas, return_inverse=True)
    solutions: list[np.ndarray] = []
    batch, last = None, np.inf
    for alpha in distinct[::-1]:
        only = np.array([alpha])
        evaluate, precondition = objective(problem, only), preconditioner(problem, only)
        start = _guess(distinct, solutions, (1, k, problem.X.shape[1]))
        fresh = _lbfgs.start(start, evaluate, memory=PAIRS)
        batch = fresh if batch is None else _with_pairs(fresh, batch, alpha - last)
        for _ in range(n_iterations):
            if np.abs(batch.gradient).max() <= tolerance:
                break
            batch = _lbfgs.advance(batch, evaluate, precondition)
        solutions.append(batch.theta)
        last = alpha
    return np.concatenate(solutions[::-1])[place]


def _guess(
    distinct: np.ndarray, solutions: list[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """Return the starting point of the next penalty: on the line through the last two
    solutions.
    """
    if len(solutions) < 2:
        return solutions[-1] if solutions else np.zeros(shape)
    here = len(distinct) - 1 - len(solutions)
    to, one, two = np.log(distinct[here : here + 3])
    return solutions[-1] + (to - one) / (one - two) * (solutions[-1] - solutions[-2])


def _with_pairs(fresh: _lbfgs.Batch, before: _lbfgs.Batch, by: float) -> _lbfgs.Batch:
    """Return the batch with the pairs of one at a penalty smaller by `by`."""
    changes = before.changes.copy()
    changes[..., :-1] += by * before.steps[..., :-1]  # the intercept has no penalty
    return fresh._replace(steps=before.steps, changes=changes)
