"""Probabilistic PCA: a Gaussian of principal components and isotropic noise.

    A = W W' + s I,   W = V_q diag(v_q - s)^1/2,   s = mean of the d - q dropped v

Axes: n rows, d columns, q factors. v and V are the eigenvalues and eigenvectors of the
covariance S, which is divided by n: this is the maximum of the likelihood. W spans the
plane of PCA, and S W = W diag(v_q) (the notes have the factors in the other order:
mistake 45).

Source: Deep learning cheat sheet, 17.3; Tipping and Bishop (1999), "Probabilistic
principal component analysis".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import check_squares
from ftml.families.decomposition._factors import Model, check_factors
from ftml.families.decomposition.pca import SMALL, eigen

__all__ = ["TASK", "Config", "Model", "train", "train_many"]

TASK = "density"

TINY = float(np.finfo(float).tiny)


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1), Integers(1, 3)] = 2
    "q, fewer than the columns"


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield the solutions of all numbers of factors, from one decomposition.

    Raises ValueError for as many factors as columns, if no noise is left, and as
    `check_squares`.
    """
    steps: list[Step | None] = [None] * len(configs)
    waiting = [i for i, state in enumerate(states or steps) if state is None]
    if not waiting:
        return
    X = data.train.X
    check_squares(X, data.train.feature_names)
    mean, d = X.mean(axis=0), X.shape[1]
    centred = X - mean
    values, rows = eigen(centred)
    # Squares of the rounding of X, and of that of a decomposition of X.
    eps = np.finfo(float).eps
    rounding = (4 * eps * np.abs(X).max()) ** 2 + (4 * len(X) * eps) ** 2 * values[0]
    for i in waiting:
        q = configs[i].n_components
        check_factors(q, d)
        noise = float(values[q:].sum()) / (d - q)
        if noise <= SMALL * values[0]:  # it may be the rounding of S
            noise = float(np.sum((centred @ rows[q:].T) ** 2)) / (len(X) * (d - q))
        if noise <= rounding:
            raise ValueError(no_noise(X, q, fraction=noise / max(values[0], TINY)))
        spread = np.sqrt(np.maximum(values[:q] - noise, 0.0))
        model = Model(mean, rows[:q].T * spread, np.full(d, noise))
        metrics = {"train_log_likelihood": float(model.log_density(X).mean())}
        steps[i] = Step(n=1, metrics=metrics, model=model, state={})
    yield steps


def no_noise(X: np.ndarray, q: int, *, fraction: float) -> str:
    """Return the message about rows X (n, d) whose noise is not above rounding.

    fraction: the noise, in units of the largest variance of a component.
    """
    least = "no noise is left, the likelihood has no maximum"
    different = len(np.unique(X, axis=0))
    if different <= q + 1:
        return (
            f"the training data has {different} different rows, through which {q} "
            f"components pass exactly: {least}; {q + 2} different rows are needed"
        )
    return (
        f"{q} components leave {fraction:.1g} of the variance of the first one, "
        f"which is not above the rounding errors of float64: {least}; lower "
        "n_components, or scale the columns to one variance"
    )


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step
