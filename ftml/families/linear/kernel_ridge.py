"""Kernel ridge regression: least squares in the space of a kernel, with its norm.

    minimise (1/n) sum_i (y_i - b - f(x_i))^2 + alpha |f|_K^2
    f(x) = sum_i c_i K(x, x_i),   c = (K + n alpha I)^-1 (y - b),   b = mean of y

Axes: n samples, d features. Features are centred and scaled. The kernels are

    rbf         exp(-|x - x'|^2 / (2 d width^2))
    polynomial  (x'x' / d + 1)^degree

divided by d, so that one width suits data of few and of many features: |x - x'|^2 is
near 2 d for standardised ones. The width is searched together with the penalty.

Source: FTML lecture 9, "Ridge regression", by the representer theorem; Saunders,
Gammerman and Vovk (1998), "Ridge regression learning algorithm in dual variables".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import scipy.linalg
from pydantic import Field
from scipy.spatial.distance import cdist

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._columns import centred_and_scaled, check_columns

TASK = "regression"


class Config(FamilyConfig):
    alpha: Annotated[float, Field(gt=0), LogUniform(1e-6, 1e1)] = 1e-3
    "penalty on the squared norm of f, in the units of the mean squared loss"

    kernel: Literal["rbf", "polynomial"] = "rbf"
    "K"

    width: Annotated[float, Field(gt=0), LogUniform(0.1, 10.0)] = 1.0
    "of the rbf kernel, in units of the typical distance of two rows / sqrt(2)"

    degree: Annotated[int, Field(ge=1)] = 3
    "of the polynomial kernel"


@dataclass(frozen=True)
class Model:
    rows: np.ndarray
    "(n, d): the training rows, centred and scaled"

    dual: np.ndarray
    "(n,): c"

    intercept: float
    "b"

    center: np.ndarray
    "(d,): subtracted from raw columns"

    scale: np.ndarray
    "(d,): divides the centred columns"

    kernel: str
    width: float
    degree: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return f(x) + b, (n',), for X (n', d)."""
        check_columns(X, len(self.center))
        scaled = (X - self.center) / self.scale
        K = kernel_matrix(
            scaled, self.rows, kernel=self.kernel, width=self.width, degree=self.degree
        )
        return K @ self.dual + self.intercept


def kernel_matrix(
    A: np.ndarray, B: np.ndarray, *, kernel: str, width: float, degree: int
) -> np.ndarray:
    """Return K(a_i, b_j), (m, n), for A (m, d) and B (n, d)."""
    d = A.shape[1]
    if kernel == "polynomial":
        return (A @ B.T / d + 1.0) ** degree
    return np.exp(cdist(A, B, "sqeuclidean") / (-2.0 * d * width**2))


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    if state is not None:
        return
    X, scaling = centred_and_scaled(data.train.X, standardize=True)
    y = data.train.y
    form = config.model_dump(include={"kernel", "width", "degree"})
    K = kernel_matrix(X, X, **form)
    ridge = K + len(y) * config.alpha * np.eye(len(y))
    dual = scipy.linalg.solve(ridge, y - y.mean(), assume_a="pos")
    model = Model(X, dual, float(y.mean()), scaling.center, scaling.scale, **form)
    mse = float(np.mean((y - y.mean() - K @ dual) ** 2))
    yield Step(n=1, metrics={"train_mse": mse}, model=model, state={})
