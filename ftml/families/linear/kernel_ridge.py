"""Kernel ridge regression: least squares in the space of a kernel, with its norm.

    minimise (1/n) sum_i (y_i - b - f(x_i))^2 + alpha |f|_K^2
    f(x) = sum_i c_i K(x, x_i),   c = (K + n alpha I)^-1 (y - b),   b = mean of y

Axes: n samples, d features. Features are centred and scaled. The kernels are

    rbf         exp(-|x - x'|^2 / (2 d width^2))
    polynomial  (x'x' / d + 1)^degree

divided by d, so that one width suits data of few and of many features: |x - x'|^2 is
near 2 d for standardised ones. The width is searched together with the penalty.

K (n, n) is the only array of that size: it holds the Cholesky factor in one triangle,
and itself in the other. It is refused where it does not fit into memory.

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

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.checks import check_rows
from ftml.families.linear._columns import centred_and_scaled
from ftml.memory import check_fits

TASK = "regression"

BLOCK = 2**22
"Values of the kernel that a prediction computes at once: 32 megabytes."


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
        check_rows(X, len(self.center))
        predicted = np.empty(len(X))
        at_once = max(1, BLOCK // len(self.rows))
        for first in range(0, len(X), at_once):
            part = slice(first, first + at_once)
            scaled = (X[part] - self.center) / self.scale
            K = kernel_matrix(
                scaled,
                self.rows,
                kernel=self.kernel,
                width=self.width,
                degree=self.degree,
            )
            predicted[part] = K @ self.dual + self.intercept
        return predicted


def kernel_matrix(
    A: np.ndarray, B: np.ndarray, *, kernel: str, width: float, degree: int
) -> np.ndarray:
    """Return K(a_i, b_j), (m, n), for A (m, d) and B (n, d).

    Squared distances are |a|^2 + |b|^2 - 2 a'b, by a product of matrices; K is the only
    array of its size.
    """
    d = A.shape[1]
    K: np.ndarray = A @ B.T
    if kernel == "polynomial":
        K /= d
        K += 1.0
        return np.power(K, degree, out=K)
    K *= -2.0
    K += np.einsum("md,md->m", A, A)[:, None]
    K += np.einsum("nd,nd->n", B, B)
    np.maximum(K, 0.0, out=K)
    if A is B:
        np.fill_diagonal(K, 0.0)
    K /= -2.0 * d * width**2
    return np.exp(K, out=K)


def solve_dual(
    K: np.ndarray, y: np.ndarray, *, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return c (n,) and K c (n,) for centred y (n,). K (n, n) is overwritten.

    The Cholesky factor is in one triangle of K, and K c comes from the other. Raises
    ValueError where K overflows or K + n alpha I is singular to rounding.
    """
    n = len(y)
    diagonal = K.diagonal().copy()
    if not np.isfinite(diagonal).all():
        raise ValueError("the kernel overflows; lower degree")
    K.flat[:: n + 1] += n * alpha
    try:
        factor = scipy.linalg.cho_factor(
            K.T, lower=True, overwrite_a=True, check_finite=False
        )
    except np.linalg.LinAlgError:
        raise ValueError(
            f"alpha is {alpha:g}: the kernel matrix, whose largest value is "
            f"{diagonal.max():.3g}, plus n alpha on its diagonal is singular to "
            f"rounding; raise alpha, above {np.finfo(float).eps * diagonal.max():.1g}"
        ) from None
    dual = scipy.linalg.cho_solve(factor, y)
    K.flat[:: n + 1] = diagonal
    return dual, scipy.linalg.blas.dsymv(1.0, K.T, dual, lower=0)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step.

    Raises ValueError where the kernel matrix does not fit into memory.
    """
    if state is not None:
        return
    n = len(data.train)
    check_fits(
        8 * n**2,
        what=f"kernel_ridge: the kernel matrix of {n} rows",
        instead="train on a sample of the rows, or take ridge or mlp",
    )
    X, scaling = centred_and_scaled(data.train.X, standardize=True)
    y = data.train.y
    form = config.model_dump(include={"kernel", "width", "degree"})
    centred = y - y.mean()
    dual, fitted = solve_dual(kernel_matrix(X, X, **form), centred, alpha=config.alpha)
    model = Model(X, dual, float(y.mean()), scaling.center, scaling.scale, **form)
    mse = float(np.mean((centred - fitted) ** 2))
    yield Step(n=1, metrics={"train_mse": mse}, model=model, state={})
