"""Non-negative matrix factorisation: samples as non-negative sums of parts.

    minimise (1/2) |X - C H|^2,   C >= 0 (n, q),   H >= 0 (q, d)

Axes: n rows, d columns, q parts. Each step takes the columns of C, then the rows of H,
one after the other to their optimum while all others are fixed: coordinate descent,
which never raises the objective. The code of new rows is their best C for the learnt H.

Source: Deep learning cheat sheet, 17.4.3; Cichocki and Phan (2009), "Fast local
algorithms for large scale nonnegative matrix and tensor factorizations".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import scipy.optimize
from pydantic import Field

from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rows import checked_rows
from ftml.data.standardize import check_squares

TASK = "decomposition"

SWEEPS, SETTLED = 200, 1e-6
"""Number of sweeps over the code of new rows, and the change, relative to the largest
value, at which they end earlier.
"""

SURE = 1e-3
"""Fraction of a row's loss by which its code may miss the least loss: rows for which
that is not certain after the sweeps are solved exactly. Sweeps hardly move where a
column of large values makes the parts nearly parallel, far from the optimum too.
"""

CANCELS = 1e-6
"Fraction of |X|^2 below which the objective is computed from the residual itself."

BLOCK = 2**22
"Values of the residual that are computed at once: 32 megabytes."


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1)] = 2
    "q"

    n_iterations: Annotated[int, Field(ge=1)] = 200
    "steps; training stops earlier when the objective hardly falls"

    tolerance: Annotated[float, Field(ge=0)] = 1e-5
    "relative decrease of the objective in a step at which training stops"


@dataclass(frozen=True)
class Model:
    components: np.ndarray
    "(q, d): H, each row of sum 1 unless it is 0"

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return C (n, q) for X (n, d): the weight of each part in each row.

        X may have negative values, which the parts cannot represent.
        """
        X = checked_rows(X, self.components.shape[1])
        H = self.components
        cross, gram = X @ H.T, H @ H.T
        code = np.maximum(cross, 0.0) / np.maximum(np.diag(gram), _TINY)
        for _ in range(SWEEPS):
            before = code
            code = swept(code, cross, gram)
            if np.abs(code - before).max(initial=0.0) <= SETTLED * code.max(
                initial=0.0
            ):
                break
        unsure = gap_bound(X, code, cross, gram) > SURE * row_losses(X, code, H)
        if unsure.any():
            code[unsure] = best_codes(X[unsure], H)
        return code

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return C H, (n, d)."""
        return self.transform(X) @ self.components


_TINY = np.finfo(float).tiny


def best_codes(X: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Return the codes (n, q) of rows X (n, d), each by the active sets of Lawson and
    Hanson (1974).
    """
    Q, R = np.linalg.qr(H.T)  # |x - c H| and |Q'x - R c| differ by a constant
    return np.array([scipy.optimize.nnls(R, x, maxiter=50 * len(H))[0] for x in X @ Q])


def gap_bound(
    X: np.ndarray, code: np.ndarray, cross: np.ndarray, gram: np.ndarray
) -> np.ndarray:
    """Return what each row's loss (n,) is at most above the least one, with rounding.

    A convex loss is at most g'(c - c*) above its minimum, g the gradient at c. c*_j
    |H_j| is at most |c* H|, since nothing is negative, and that at most |x|.
    """
    slope = code @ gram - cross
    square = np.einsum("nd,nd->n", X, X)
    lengths = np.sqrt(np.maximum(np.diag(gram), _TINY))
    largest = np.sqrt(square)[:, None] / lengths
    gap = np.sum(np.where(slope > 0, slope * code, -slope * largest), axis=1)
    rounding = 4 * len(gram) * np.finfo(float).eps
    bound: np.ndarray = gap + rounding * square
    return bound


def row_losses(X: np.ndarray, code: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Return (1/2) |x - c H|^2 of each row, (n,)."""
    at_once = max(1, BLOCK // X.shape[1])
    parts = (slice(i, i + at_once) for i in range(0, len(X), at_once))
    each = [0.5 * np.sum((X[p] - code[p] @ H) ** 2, axis=1) for p in parts]
    return np.concatenate([np.zeros(0), *each])


def lost(X: np.ndarray, code: np.ndarray, H: np.ndarray) -> float:
    """Return (1/2) |X - C H|^2 from its definition."""
    at_once = max(1, BLOCK // X.shape[1])
    parts = (slice(i, i + at_once) for i in range(0, len(X), at_once))
    return 0.5 * sum(float(np.sum((X[p] - code[p] @ H) ** 2)) for p in parts)


def swept(code: np.ndarray, cross: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Return C (n, q) with each column, one after the other, at its optimum.

    cross: X H', (n, q). gram: H H', (q, q). A part that is all zeros keeps its column.
    """
    code = code.copy()
    for j in range(code.shape[1]):
        if gram[j, j] > 0:
            step = (cross[:, j] - code @ gram[:, j]) / gram[j, j]
            code[:, j] = np.maximum(code[:, j] + step, 0.0)
    return code


def begin(config: Config, X: np.ndarray) -> State:
    """Return the state before the first step: random values at the scale of X."""
    rng = np.random.default_rng(config.seed)
    scale = np.sqrt(X.mean() / config.n_components)
    q = config.n_components
    return {
        "n": 0,
        "code": scale * np.abs(rng.normal(size=(len(X), q))),
        "H": scale * np.abs(rng.normal(size=(q, X.shape[1]))),
        "objective": np.inf,
        "done": False,
    }


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until the objective hardly falls.

    Raises ValueError for negative values, and as `check_squares`.
    """
    X = data.train.X
    if X.size and X.min() < 0:
        row, column = np.argwhere(X < 0)[0]
        raise ValueError(
            f"nmf needs values of 0 or more, got {X[row, column]:g} in column "
            f"{data.train.feature_names[column]}"
        )
    check_squares(X, data.train.feature_names)
    total = float(np.sum(X**2))
    state = begin(config, X) if state is None else state
    while state["n"] < config.n_iterations and not state["done"]:
        H = state["H"]
        code = swept(state["code"], X @ H.T, H @ H.T)
        cross, gram = X.T @ code, code.T @ code
        H = swept(H.T, cross, gram).T
        objective = 0.5 * max(
            0.0, total - 2 * float(np.sum(H.T * cross)) + float(np.sum(H @ H.T * gram))
        )
        if objective <= CANCELS * total:
            objective = lost(X, code, H)
        fell = state["objective"] - objective
        state = {
            "n": state["n"] + 1,
            "code": code,
            "H": H,
            "objective": objective,
            "done": bool(fell <= config.tolerance * objective),
        }
        error = 2 * objective / X.size
        model = Model(H / np.maximum(H.sum(axis=1, keepdims=True), _TINY))
        yield Step(state["n"], {"train_reconstruction_error": error}, model, state)
