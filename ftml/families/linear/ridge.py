"""Ridge regression: least squares with an L2 penalty. Axes: n samples, d features.

    theta = argmin (1/n) |y - X theta - b|^2 + alpha |theta|^2
          = (S + alpha I)^-1 X'y / n,   S = X'X / n,   X and y centred

The intercept b is not penalised. scikit-learn's alpha is n times this one. The notes
say that there is no closed form when d > n (mistake 10): there is one for every alpha >
0, and at alpha = 0 the solution is not unique; the one of minimum norm is returned.

Source: 001_21b9d05290248f61.txt, "Ridge regression".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import scipy.linalg
from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import apply_scaling, learn_scaling

TASK = "regression"


class Config(FamilyConfig):
    alpha: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e3)] = 1e-3
    "L2 penalty, in the units of the mean squared loss"

    standardize: bool = True
    """penalise the coefficients of centred and scaled features; theta is given for raw
    ones"""


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1,): coefficients, intercept last"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return X theta + b, (n,), for X (n, d)."""
        d = len(self.theta) - 1
        if X.shape[1] != d:
            raise ValueError(f"X has {X.shape[1]} columns, the model was fitted on {d}")
        return X @ self.theta[:-1] + self.theta[-1]


def solve_ridge(X: np.ndarray, y: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return the coefficients (d,) for centred X (n, d) and y (n,)."""
    n, d = X.shape
    if alpha == 0:
        return np.linalg.lstsq(X, y)[0]
    if d > n:
        # The same solution from an (n, n) system: X'(XX' + n alpha I)^-1 y.
        return X.T @ scipy.linalg.solve(
            X @ X.T + n * alpha * np.eye(n), y, assume_a="pos"
        )
    return scipy.linalg.solve(
        X.T @ X / n + alpha * np.eye(d), X.T @ y / n, assume_a="pos"
    )


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    if state is not None:
        return
    X, y = data.train.X, data.train.y
    scaling = learn_scaling(X)
    if not config.standardize:
        scaling = scaling._replace(scale=np.ones_like(scaling.scale))
    theta = solve_ridge(apply_scaling(X, scaling), y - y.mean(), alpha=config.alpha)
    theta = theta / scaling.scale
    model = Model(np.append(theta, y.mean() - scaling.center @ theta))
    mse = float(np.mean((y - model.predict(X)) ** 2))
    yield Step(n=1, metrics={"train_mse": mse}, model=model, state={})
