"""Softmax regression: multi-class logistic regression, many penalties at once.

    minimise (1/n) sum_i [logsumexp_k(z_ik) - z_i,y_i] + (alpha/2) |W|^2,   z_i = W'x_i
    + b

Axes: n samples, d features, k classes. The gradient in z is softmax(z) - onehot(y); the
softmax of the notes' code overflows (mistake 17), here the row maximum is subtracted.
Steps are L-BFGS's, preconditioned by the bound diag(p) - pp' <= I/2 on the Hessian
(`_penalised.py`).

Source: FTML lecture 9, "Convex surrogates for classification"; multi-class softmax,
CS280 homework 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.checks import check_rows
from ftml.data.class_weights import sample_weights
from ftml.families.linear import _penalised
from ftml.families.linear._columns import for_raw_columns
from ftml.families.linear._path import solve_path

TASK = "classification"


class Config(_penalised.PenalisedConfig):
    """The penalty, and the stopping rule."""


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1, k): a column of weights for each class, intercepts in the last row"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k), for X (n, d)."""
        check_rows(X, len(self.theta) - 1)
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


def softmax_loss(y: np.ndarray, weights: np.ndarray | None = None) -> _penalised.Loss:
    """Return the mean loss and softmax(z) - onehot(y) as functions of all scores.

    y: (n,) class indices. weights: (n,), by which the loss of each sample is
    multiplied.
    """
    row = np.arange(len(y))

    def loss(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shifted = scores - scores.max(axis=1, keepdims=True)  # (b, k, n)
        of_label = shifted[:, y, row]
        p = np.exp(shifted, out=shifted)
        total = p.sum(axis=1)
        p /= total[:, None]
        p[:, y, row] -= 1.0
        each = np.log(total) - of_label  # (b, n)
        if weights is not None:
            each, p = weights * each, weights * p
        return each.mean(axis=1), p

    return loss


def path(
    data: Table, *, alphas: np.ndarray, tolerance: float, standardize: bool = True
) -> list[Model]:
    """Return the model of each penalty of alphas (A,), all positive (`_path.py`)."""
    problem = _penalised.make_problem(
        data, softmax_loss(data.y), bound=0.5, standardize=standardize
    )
    found = solve_path(problem, alphas, k=len(data.classes), tolerance=tolerance)
    return [Model(for_raw_columns(theta.T, problem.scaling)) for theta in found]


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield after each step of all configurations, whose scores are one matrix
    product.
    """
    y, k = data.train.y, len(data.train.classes)
    problems = {
        (standardize, class_weight): _penalised.make_problem(
            data.train,
            softmax_loss(y, sample_weights(y, class_weight)),
            bound=0.5,
            standardize=standardize,
        )
        for standardize, class_weight in dict.fromkeys(map(_penalised.form_of, configs))
    }
    states = states or [None] * len(configs)
    yield from _penalised.run(configs, states, problems, Model, k=k)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until the gradient is small or the steps are done."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step
