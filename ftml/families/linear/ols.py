"""Ordinary least squares, with standard errors. Axes: n samples, d features.

    theta = argmin |y - A theta|^2,   A = [X 1] = QR,   theta = R^-1 Q'y

The noise is estimated by s^2 = |y - A theta|^2 / (n - r), r the rank of A, and the
covariance of theta by s^2 (A'A)^-1 = s^2 R^-1 R^-T. A is never multiplied with itself,
which would square its condition number. Where A has not full rank (n < d + 1, a feature
twice, all values of a category one-hot encoded), the solution is not unique (the notes
say that it has no closed form: mistake 10); the one with the shortest coefficients is
returned, and a coefficient in which solutions differ has no standard error. How the
rank is decided: `_least_squares.py`. On a fixed design the expected excess risk is
sigma^2 r / n.

Source: FTML lecture 9, "Ordinary least squares".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.checks import check_rows
from ftml.families.linear._least_squares import least_squares

TASK = "regression"


class Config(FamilyConfig):
    """No fields of its own: the solution is unique, or the shortest one is returned."""


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1,): coefficients, intercept last"

    standard_errors: np.ndarray
    "(d + 1,): of theta; NaN where n <= r, and for a coefficient that is not unique"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return X theta + b, (n,), for X (n, d)."""
        check_rows(X, len(self.theta) - 1)
        return X @ self.theta[:-1] + self.theta[-1]


def solve_ols(X: np.ndarray, y: np.ndarray) -> Model:
    """Return the solution for X (n, d) and y (n,)."""
    return Model(*least_squares(X, y))


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    if state is not None:
        return
    model = solve_ols(data.train.X, data.train.y)
    mse = float(np.mean((data.train.y - model.predict(data.train.X)) ** 2))
    yield Step(n=1, metrics={"train_mse": mse}, model=model, state={})
