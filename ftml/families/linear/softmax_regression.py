"""Softmax regression: multi-class logistic regression by accelerated gradient descent.

    minimise (1/n) sum_i [logsumexp_k(z_ik) - z_i,y_i] + (alpha/2) |W|^2,   z_i = W'x_i
    + b

Axes: n samples, d features, k classes. The gradient in z is softmax(z) - onehot(y); the
softmax of the notes' code overflows (mistake 17), here the row maximum is subtracted.
Steps are Nesterov's with step size 1/L, where L = lambda_max(X'X/n)/2 + alpha bounds
the Hessian (softmax has diag(p) - pp' <= I/2), restarted where the momentum points
uphill.

Source: 001_21b9d05290248f61.txt, "Convex surrogates for classification"; multi-class
softmax, 003_880d062d5684f3ab.txt; restart: O'Donoghue and Candes (2015), section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import log_softmax, softmax

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import apply_scaling, learn_scaling

TASK = "classification"


class Config(FamilyConfig):
    alpha: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e0)] = 1e-3
    "L2 penalty on the weights, in the units of the mean log loss"

    n_iterations: Annotated[int, Field(ge=1)] = 300
    "gradient steps; training stops earlier when the gradient is below `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    "largest absolute entry of the gradient at which training stops"

    standardize: bool = True
    "penalise the weights of centred and scaled features; the model takes raw ones"


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1, k): a column of weights for each class, intercepts in the last row"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k), for X (n, d)."""
        d = len(self.theta) - 1
        if X.shape[1] != d:
            raise ValueError(f"X has {X.shape[1]} columns, the model was fitted on {d}")
        return softmax(X @ self.theta[:-1] + self.theta[-1], axis=1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        return self.predict_proba(X).argmax(axis=1)


def loss_and_gradient(
    theta: np.ndarray, X: np.ndarray, y: np.ndarray, *, alpha: float
) -> tuple[float, np.ndarray]:
    """Return the objective at theta (d + 1, k), and its gradient of the same shape.

    X: (n, d + 1), its last column ones. y: (n,) class indices. The last row of theta,
    the intercepts, is not penalised.
    """
    n = len(y)
    log_p = log_softmax(X @ theta, axis=1)  # (n, k)
    residual = np.exp(log_p)
    residual[np.arange(n), y] -= 1.0
    weights = np.vstack([theta[:-1], np.zeros_like(theta[-1:])])
    loss = -log_p[np.arange(n), y].mean() + 0.5 * alpha * np.sum(weights**2)
    return float(loss), X.T @ residual / n + alpha * weights


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each gradient step, until the gradient is small or the steps are
    done.
    """
    y, k = data.train.y, len(data.train.classes)
    scaling = learn_scaling(data.train.X)
    if not config.standardize:
        zero, one = np.zeros_like(scaling.center), np.ones_like(scaling.scale)
        scaling = scaling._replace(center=zero, scale=one)
    X = np.column_stack([apply_scaling(data.train.X, scaling), np.ones(len(y))])
    curvature = 0.5 * np.linalg.norm(X, ord=2) ** 2 / len(y) + config.alpha
    step_size = float(1.0 / curvature)
    if state is None:
        start = np.zeros((X.shape[1], k))
        state = {"n": 0, "theta": start, "ahead": start, "momentum": 1.0, "done": False}
    while state["n"] < config.n_iterations and not state["done"]:
        state = _next_state(state, X, y, alpha=config.alpha, step_size=step_size)
        loss, gradient = loss_and_gradient(state["theta"], X, y, alpha=config.alpha)
        size = float(np.abs(gradient).max())
        state["done"] = size <= config.tolerance
        weights = state["theta"][:-1] / scaling.scale[:, None]
        intercept = state["theta"][-1] - scaling.center @ weights
        metrics = {"train_objective": loss, "train_gradient": size}
        yield Step(state["n"], metrics, Model(np.vstack([weights, intercept])), state)


def _next_state(
    state: State, X: np.ndarray, y: np.ndarray, *, alpha: float, step_size: float
) -> State:
    """Return the state after one of Nesterov's steps."""
    _, gradient = loss_and_gradient(state["ahead"], X, y, alpha=alpha)
    theta = state["ahead"] - step_size * gradient
    uphill = np.sum(gradient * (theta - state["theta"])) > 0
    before = 1.0 if uphill else state["momentum"]
    momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * before**2))
    ahead = theta + (before - 1.0) / momentum * (theta - state["theta"])
    return {
        "n": state["n"] + 1,
        "theta": theta,
        "ahead": ahead,
        "momentum": float(momentum),
        "done": False,
    }
