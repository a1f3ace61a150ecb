"""Principal component analysis: the closest plane to the samples, with most variance.

    S = (1/n) sum_i (x_i - m)(x_i - m)' = V diag(v) V'
    z = V_q'(x - m),   r = m + V_q z

Axes: n rows, d columns, q components. The mean squared distance of rows from r is the
sum of the eigenvalues v that are dropped. Rows are centred and S divided by n (mistake
44). Signs are chosen so that each component's largest entry is positive. S has half of
the digits of X: if X has variance in directions whose eigenvalue is below 1e-8 of the
largest one, singular values of X take its place.

Source: FTML lecture 9, "Principal component analysis", and Deep learning cheat sheet,
17.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rows import checked_rows
from ftml.data.standardize import check_squares

TASK = "decomposition"

SMALL = 1e-8
"Fraction of the largest eigenvalue below which one of S may be rounding."


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1)] | None = None
    "q, at most the smaller of rows and columns; by default as `variance` says"

    variance: Annotated[float, Field(gt=0, le=1)] = 0.9
    "smallest fraction of the variance that the components explain; sets their number"


@dataclass(frozen=True)
class Model:
    mean: np.ndarray
    "(d,)"

    components: np.ndarray
    "(q, d): V_q', orthonormal rows"

    variances: np.ndarray
    "(q,): the eigenvalues of the components"

    explained: float
    "explained fraction of the training samples' variance; 1 if there is no variance"

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the coordinates z (n, q) of X (n, d)."""
        X = checked_rows(X, len(self.mean))
        return (X - self.mean) @ self.components.T

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return the point of the plane nearest to each row, (n, d)."""
        return self.mean + self.transform(X) @ self.components


def eigen(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of S, decreasing, and the eigenvectors in rows.

    X: (n, d), centred. There are min(n, d) of them. With fewer rows than columns they
    come from X itself, which is then the smaller matrix.
    """
    n, d = X.shape
    if n < d:
        _, s, rows = np.linalg.svd(X, full_matrices=False)
        values = s**2 / n
    else:
        values, columns = np.linalg.eigh(X.T @ X / n)
        values, rows = np.maximum(values[::-1], 0.0), columns.T[::-1]
        small = rows[values <= SMALL * values[0]]
        # Rounding mixes so much of the other directions into these.
        rounding = np.finfo(float).eps * np.sqrt(values[0] / SMALL)
        if np.abs(X @ small.T).max(initial=0.0) > rounding:
            _, s, rows = np.linalg.svd(np.linalg.qr(X, mode="r"))
            values = s**2 / n
    largest = np.abs(rows).argmax(axis=1)
    signs = np.sign(rows[np.arange(len(rows)), largest])
    return values, rows * signs[:, None]


def n_kept(config: Config, values: np.ndarray) -> int:
    """Return the number of components. Raises ValueError for more than there are."""
    if config.n_components is None:
        share = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
        # Rounding may leave the last sum a little below 1.
        enough = share >= config.variance - 4 * len(values) * np.finfo(float).eps
        return int(enough.argmax()) + 1
    if config.n_components > len(values):
        raise ValueError(
            f"n_components is {config.n_components}, the training data has only "
            f"{len(values)}, the smaller of rows and columns"
        )
    return config.n_components


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield the solutions of all numbers of components, from one decomposition.

    Raises ValueError for too many components, and for squares that float64 does not
    have.
    """
    steps: list[Step | None] = [None] * len(configs)
    waiting = [i for i, state in enumerate(states or steps) if state is None]
    if not waiting:
        return
    check_squares(data.train.X, data.train.feature_names)
    mean = data.train.X.mean(axis=0)
    values, rows = eigen(data.train.X - mean)
    total = float(values.sum())
    for i in waiting:
        q = n_kept(configs[i], values)
        kept = float(values[:q].sum())
        explained = kept / total if total > 0 else 1.0
        dropped = total - kept
        if dropped < 1e-6 * total:  # the difference would have few digits
            dropped = float(values[q:].sum())
        model = Model(mean, rows[:q], values[:q], explained)
        metrics = {
            "train_reconstruction_error": dropped / len(mean),
            "train_explained_variance": explained,
        }
        steps[i] = Step(n=1, metrics=metrics, model=model, state={})
    yield steps


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step.

    Raises ValueError for too many components, and as `check_squares`.
    """
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step
