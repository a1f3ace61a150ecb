"""Logistic regression: two classes by a linear function, many penalties at once.

    minimise (1/n) sum_i log(1 + exp(-y_i z_i)) + (alpha/2) |w|^2,   z_i = w'x_i + b

Axes: n samples, d features; y_i is -1 or 1. The loss is a convex surrogate of the 0-1
loss and the negative log-likelihood of a Bernoulli distribution with log-odds z. Its
derivative in z is -y s(-y z), s(t) = 1/(1 + exp(-t)), the second one s(z) s(-z) <= 1/4,
which bounds the Hessian and preconditions the steps (`_penalised.py`). scikit-learn's C
is 1 / (n alpha), with the same `class_weight`.

Source: FTML lecture 9, "Convex surrogates for classification".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.class_weights import sample_weights
from ftml.families.linear import _penalised
from ftml.families.linear._binary import Model, signs
from ftml.families.linear._columns import for_raw_columns
from ftml.families.linear._path import solve_path

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "path", "train", "train_many"]

TASK = "classification"
N_CLASSES = 2


class Config(_penalised.PenalisedConfig):
    """The penalty, and the stopping rule."""


def logistic_loss(y: np.ndarray, weights: np.ndarray | None = None) -> _penalised.Loss:
    """Return the mean loss and -y s(-y z) as functions of all scores (b, 1, n).

    y: (n,), -1 or 1. weights: (n,), by which the loss of each sample is multiplied.
    """

    def loss(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        margin = y * scores
        each, slope = np.logaddexp(0.0, -margin), -y * expit(-margin)
        if weights is not None:
            each, slope = weights * each, weights * slope
        return each.mean(axis=(1, 2)), slope

    return loss


def path(
    data: Table, *, alphas: np.ndarray, tolerance: float, standardize: bool = True
) -> list[Model]:
    """Return the model of each penalty of alphas (A,), all positive (`_path.py`)."""
    problem = _penalised.make_problem(
        data, logistic_loss(signs(data)), bound=0.25, standardize=standardize
    )
    found = solve_path(problem, alphas, k=1, tolerance=tolerance)
    return [Model(for_raw_columns(theta[0], problem.scaling)) for theta in found]


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield after each step of all configurations, whose scores are one matrix product.

    Raises ValueError unless the data has two classes.
    """
    y = signs(data.train)
    problems = {
        (standardize, class_weight): _penalised.make_problem(
            data.train,
            logistic_loss(y, sample_weights(data.train.y, class_weight)),
            bound=0.25,
            standardize=standardize,
        )
        for standardize, class_weight in dict.fromkeys(map(_penalised.form_of, configs))
    }
    states = states or [None] * len(configs)
    yield from _penalised.run(
        configs, states, problems, lambda theta: Model(theta[:, 0]), k=1
    )


def train_members(
    config: Config, tables: Iterable[Table], states: Sequence[State | None]
) -> list[Iterator[Step]]:
    """Return `train` of each table; tables of the same X share what it determines."""
    runs, X, problem = list[Iterator[Step]](), None, None
    for table, state in zip(tables, states, strict=True):
        y = signs(table)
        loss = logistic_loss(y, sample_weights(table.y, config.class_weight))
        if problem is not None and table.X is X:
            problem = replace(problem, loss=loss)
        else:
            problem = _penalised.make_problem(
                table, loss, bound=0.25, standardize=config.standardize
            )
        X = table.X
        runs.append(_run(config, problem, state))
    return runs


def _run(
    config: Config, problem: _penalised.Problem, state: State | None
) -> Iterator[Step]:
    problems = {_penalised.form_of(config): problem}
    for (step,) in _penalised.run(
        [config], [state], problems, lambda theta: Model(theta[:, 0]), k=1
    ):
        if step is not None:
            yield step


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until the gradient is small or the steps are done."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step
