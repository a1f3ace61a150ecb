"""Ridge regression: least squares with an L2 penalty. Axes: n samples, d features.

    theta = argmin (1/n) |y - X theta - b|^2 + alpha |theta|^2
          = (S + alpha I)^-1 X'y / n,   S = X'X / n,   X and y centred

The intercept b is not penalised. scikit-learn's alpha is n times this one. The notes
say that there is no closed form when d > n (mistake 10): there is one for every alpha >
0, and at alpha = 0 the solution is not unique; the one of minimum norm is returned.
Many penalties share one eigendecomposition S = V diag(v) V': (S + alpha I)^-1 is
V diag(1 / (v + alpha)) V' for all of them. S has half of the digits of X. Where alpha
is below 1e-10 of the trace of S, the singular values s of X = U diag(s) V' are used in
its place: theta = V diag(s / (s^2 + n alpha)) U'y.

Source: FTML lecture 9, "Ridge regression".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import scipy.linalg
from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.checks import check_rows
from ftml.families.linear._columns import (
    centred_and_scaled,
    for_raw_columns,
)
from ftml.families.linear._least_squares import EPS, least_squares
from ftml.plots import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "regression"

SMALL = 1e-10
"Penalties below this fraction of the trace of S are solved by singular values."


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
        check_rows(X, len(self.theta) - 1)
        return X @ self.theta[:-1] + self.theta[-1]


def solve_ridge(X: np.ndarray, y: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return the coefficients (d,) for X (n, d) and y (n,), without an intercept."""
    n, d = X.shape
    if alpha == 0:
        return np.linalg.lstsq(X, y)[0]
    if is_small(alpha, X):
        return _by_singular_values(X, y, alpha=alpha)
    if d > n:
        # The same solution from an (n, n) system: X'(XX' + n alpha I)^-1 y.
        return X.T @ scipy.linalg.solve(
            X @ X.T + n * alpha * np.eye(n), y, assume_a="pos"
        )
    return scipy.linalg.solve(
        X.T @ X / n + alpha * np.eye(d), X.T @ y / n, assume_a="pos"
    )


def solve_without_penalty(
    X: np.ndarray, y: np.ndarray, *, standardize: bool
) -> np.ndarray:
    """Return the coefficients (d + 1,) for raw X (n, d) and y (n,), intercept last.

    The rank is that of least squares, which no unit decides. Where the solution is not
    unique, its coefficients of the columns that a penalty would hold are shortest.
    """
    return least_squares(X, y, shortest_scaled=standardize).theta


def is_small(alpha: np.ndarray | float, X: np.ndarray) -> np.ndarray:
    """Return whether S + alpha I may be singular to rounding, for X (n, d)."""
    return np.asarray(alpha <= SMALL * (np.vdot(X, X) / len(X)))


def _by_singular_values(X: np.ndarray, y: np.ndarray, *, alpha: float) -> np.ndarray:
    U, s, rows = np.linalg.svd(X, full_matrices=False)
    kept = s > max(X.shape) * EPS * s[0]
    s, U, rows = s[kept], U[:, kept], rows[kept]
    # s / (s^2 + n alpha) without squares, which underflow and overflow.
    theta: np.ndarray = rows.T @ (U.T @ y / (s + len(X) * alpha / s))
    return theta


def ridge_path(X: np.ndarray, y: np.ndarray, *, alphas: np.ndarray) -> np.ndarray:
    """Return the coefficients (A, d) for each penalty of alphas (A,), all positive.

    X: (n, d) and y: (n,), both centred.
    """
    small = is_small(alphas, X)
    path = np.empty((len(alphas), X.shape[1]))
    if not small.all():
        path[~small] = _by_eigenvalues(X, y, alphas[~small])
    for i in np.flatnonzero(small):
        path[i] = _by_singular_values(X, y, alpha=alphas[i])
    return path


def _by_eigenvalues(X: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    n, d = X.shape
    if d > n:
        values, vectors = np.linalg.eigh(X @ X.T / n)
        dual = vectors @ ((vectors.T @ y)[:, None] / (values[:, None] + alphas))
        return (X.T @ dual).T / n
    values, vectors = np.linalg.eigh(X.T @ X / n)
    moments = vectors.T @ (X.T @ y / n)
    return (vectors @ (moments[:, None] / (values[:, None] + alphas))).T


def figures(config: Config, model: Model, data: Splits[Table]) -> dict[str, Figure]:
    """Return the path of the coefficients over penalties around the chosen one."""
    X, _ = centred_and_scaled(data.train.X, standardize=config.standardize)
    y = data.train.y
    middle = np.log10(config.alpha) if config.alpha > 0 else 0.0
    alphas = np.logspace(min(-4.0, middle - 1), max(3.0, middle + 1), 120)
    path = ridge_path(X, y - y.mean(), alphas=alphas)
    figure, axes = new_figure(6.4, 4.2)
    largest = np.argsort(-np.abs(path[0]))
    for rank, j in enumerate(largest):
        named = rank < LABELLED
        axes.plot(
            alphas,
            path[:, j],
            color=COLOURS[rank] if named else "0.7",
            linewidth=1.4 if named else 0.7,
            zorder=2 if named else 1,
            label=data.train.feature_names[j] if named else None,
        )
    if config.alpha > 0:
        axes.axvline(config.alpha, color="black", linewidth=0.8, linestyle="--")
    scaled = " of scaled features" if config.standardize else ""
    axes.set(xscale="log", xlabel="penalty alpha", ylabel=f"coefficients{scaled}")
    figure.legend(loc="outside right upper", fontsize=8)
    return {"penalty_path": figure}


LABELLED = len(COLOURS) - 1
"Features with a colour and a name in the figure: those of the largest coefficients."


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield the solutions of all penalties, in one step."""
    steps: list[Step | None] = [None] * len(configs)
    waiting = [i for i, state in enumerate(states or steps) if state is None]
    for standardize in sorted({configs[i].standardize for i in waiting}):
        X, scaling = centred_and_scaled(
            data.train.X, standardize=standardize, names=data.train.feature_names
        )
        y = data.train.y
        mean = y.mean()
        alike = [i for i in waiting if configs[i].standardize == standardize]
        alphas = np.array([configs[i].alpha for i in alike])
        path = ridge_path(X, y - mean, alphas=np.where(alphas > 0, alphas, 1.0))
        for i, alpha, theta in zip(alike, alphas, path, strict=True):
            raw = for_raw_columns(np.append(theta, mean), scaling)
            if alpha == 0:
                raw = solve_without_penalty(data.train.X, y, standardize=standardize)
            steps[i] = _step(raw, data.train)
    if waiting:
        yield steps


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    if state is not None:
        return
    X, y, standardize = data.train.X, data.train.y, config.standardize
    if config.alpha == 0:
        theta = solve_without_penalty(X, y, standardize=standardize)
        yield _step(theta, data.train)
        return
    names = data.train.feature_names
    X, scaling = centred_and_scaled(X, standardize=standardize, names=names)
    theta = solve_ridge(X, y - y.mean(), alpha=config.alpha)
    yield _step(for_raw_columns(np.append(theta, y.mean()), scaling), data.train)


def _step(theta: np.ndarray, train: Table) -> Step:
    model = Model(theta)
    mse = float(np.mean((train.y - model.predict(train.X)) ** 2))
    return Step(n=1, metrics={"train_mse": mse}, model=model, state={})
