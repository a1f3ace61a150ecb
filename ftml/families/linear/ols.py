"""Ordinary least squares, with standard errors. Axes: n samples, d features.

    theta = argmin |y - A theta|^2,   A = [X 1] = QR,   theta = R^-1 Q'y

The noise is estimated by s^2 = |y - A theta|^2 / (n - d - 1), and the covariance of
theta by s^2 (A'A)^-1 = s^2 R^-1 R^-T. A is never multiplied with itself, which would
square its condition number. Where A has not full rank, as whenever n < d + 1, the
solution is not unique (the notes say that it has no closed form: mistake 10); the one
with the shortest coefficients is returned, without standard errors. On a fixed design
the expected excess risk is sigma^2 (d + 1) / n.

Source: FTML lecture 9, "Ordinary least squares".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._columns import (
    centred_and_scaled,
    check_columns,
    for_raw_columns,
)

TASK = "regression"


class Config(FamilyConfig):
    """No fields of its own: the solution is unique, or the shortest one is returned."""


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1,): coefficients, intercept last"

    standard_errors: np.ndarray
    "(d + 1,): of theta; NaN where n <= d + 1 or where theta is not unique"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return X theta + b, (n,), for X (n, d)."""
        check_columns(X, len(self.theta) - 1)
        return X @ self.theta[:-1] + self.theta[-1]


def solve_ols(X: np.ndarray, y: np.ndarray) -> Model:
    """Return the solution for X (n, d) and y (n,)."""
    scaled, scaling = centred_and_scaled(X, standardize=True)
    design = np.column_stack([scaled, np.ones(len(y))])
    n, p = design.shape
    Q, R, order = scipy.linalg.qr(design, mode="economic", pivoting=True)
    # Of scaled columns, so that the unit of a feature does not decide what its rank is.
    size = np.abs(np.diag(R))
    if n < p or size[-1] <= p * np.finfo(float).eps * size[0]:
        centred = X - X.mean(axis=0)
        shortest = np.linalg.lstsq(centred, y - y.mean())[0]
        intercept = y.mean() - X.mean(axis=0) @ shortest
        return Model(np.append(shortest, intercept), np.full(p, np.nan))
    theta = np.empty(p)
    theta[order] = scipy.linalg.solve_triangular(R, Q.T @ y)
    residual = y - design @ theta
    inverse = np.empty((p, p))
    inverse[order] = scipy.linalg.solve_triangular(R, np.eye(p))
    raw = for_raw_columns(inverse, scaling)
    noise = residual @ residual / (n - p) if n > p else np.nan
    errors = np.sqrt(noise * np.sum(raw**2, axis=1))
    return Model(for_raw_columns(theta, scaling), errors)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    if state is not None:
        return
    model = solve_ols(data.train.X, data.train.y)
    mse = float(np.mean((data.train.y - model.predict(data.train.X)) ** 2))
    yield Step(n=1, metrics={"train_mse": mse}, model=model, state={})
