"""Kernel density estimation: a small Gaussian at every training sample.

    p(x) = (1/n) sum_i prod_j N(x_j; x_ij, h_j^2)

Axes: n rows, d columns. The best h falls as n^(-1/(4 + d)), and the mean integrated
squared error as n^(-4/(4 + d)) (the notes have log log n: mistake 42). h is chosen by
likelihood on rows that are held out: on the validation split by a search, on each
training row in turn by the metric `train_left_out_log_likelihood`. Bandwidths of one
table share its distances.

Source: Deep learning cheat sheet, 17.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field
from scipy.special import logsumexp

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rows import checked_rows
from ftml.data.standardize import check_inverse, learn_scaling
from ftml.data.table import sample_rows
from ftml.families.clustering._assignment import middle_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "density"

AT_ONCE = 2**22
"Distances in memory at once: 32 megabytes."
FAR = 1e7
"""Squared distances are computed from differences where |a|^2 + |b|^2 is more than this
many squared widths of a kernel, and more than this many times the squared distance."""
FIGURE_ROWS = 2000
"Largest number of rows that the figure over bandwidths is computed from."


class Config(FamilyConfig):
    bandwidth: Annotated[float, Field(gt=0), LogUniform(0.05, 2.0)] = 0.5
    "h, in units of the columns' standard deviations, or of the columns themselves"

    standardize: bool = True
    "take `bandwidth` in units of the columns' standard deviations"


@dataclass(frozen=True)
class Model:
    X: np.ndarray
    "(n, d): the training rows"

    bandwidths: np.ndarray
    "(d,): h of each column"

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) in nats, (n,), for X (n, d)."""
        X = checked_rows(X, self.X.shape[1], unit=self.bandwidths)
        middle = middle_of(self.X)
        rows, kernels = ((a - middle) / self.bandwidths for a in (X, self.X))
        at_once = max(1, AT_ONCE // len(kernels))
        parts = (rows[i : i + at_once] for i in range(0, len(rows), at_once))
        found = [
            logsumexp(-0.5 * squared_distances(part, kernels, width=1.0), axis=1)
            for part in parts
        ]
        constant = log_constant(self.bandwidths, n=len(kernels))
        return np.concatenate([np.zeros(0), *found]) + constant

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples (n, d) of the density."""
        rng = np.random.default_rng(seed)
        rows = self.X[rng.integers(len(self.X), size=n)]
        return rows + self.bandwidths * rng.normal(size=rows.shape)


def squared_distances(A: np.ndarray, B: np.ndarray, *, width: float) -> np.ndarray:
    """Return |a - b|^2, (n, m), for rows of A (n, d) and B (m, d).

    They are |a|^2 + |b|^2 - 2 a'b, a product of matrices, except where the rounding of
    |a|^2 + |b|^2 would change a kernel of this width: there they are the sums of the
    squared differences.
    """
    of_a, of_b = (np.einsum("nd,nd->n", each, each) for each in (A, B))
    squared = np.maximum(of_a[:, None] + of_b - 2 * A @ B.T, 0.0)
    if of_a.max(initial=0.0) + of_b.max(initial=0.0) <= FAR * width**2:
        return squared
    size = of_a[:, None] + of_b
    close = np.argwhere((size > FAR * width**2) & (size >= FAR * squared))
    at_once = max(1, AT_ONCE // A.shape[1])
    for first in range(0, len(close), at_once):
        i, j = close[first : first + at_once].T
        squared[i, j] = np.sum((A[i] - B[j]) ** 2, axis=1)
    return squared


def log_constant(bandwidths: np.ndarray, *, n: int) -> float:
    """Return the log of the normalising factor of n kernels."""
    d = len(bandwidths)
    return float(-np.log(n) - np.log(bandwidths).sum() - 0.5 * d * np.log(2 * np.pi))


def left_out(X: np.ndarray, *, widths: np.ndarray) -> np.ndarray:
    """Return the mean log-density (H,) of each row of X (n, d) under all the others.

    widths: (H,), each the bandwidth of all columns.
    """
    n, d = X.shape
    sums, at_once = np.zeros(len(widths)), max(1, AT_ONCE // n)
    for first in range(0, n, at_once):
        part = X[first : first + at_once]
        distances = squared_distances(part, X, width=float(widths.min()))
        rows = np.arange(len(distances))
        distances[rows, first + rows] = np.inf
        for j, h in enumerate(widths):
            sums[j] += logsumexp(distances / (-2 * h**2), axis=1).sum()
    constants = [log_constant(np.full(d, h), n=n - 1) for h in widths]
    return sums / n + np.array(constants)


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield the densities of all bandwidths, in one step.

    Raises ValueError for a single row, which leaves no row when it is left out, and for
    rows whose squared distances in bandwidths float64 does not have.
    """
    X = data.train.X
    if len(X) < 2:
        raise ValueError(f"kde needs 2 training rows or more, got {len(X)}")
    steps: list[Step | None] = [None] * len(configs)
    waiting = [i for i, state in enumerate(states or steps) if state is None]
    for standardize in sorted({configs[i].standardize for i in waiting}):
        scale = learn_scaling(X).scale if standardize else np.ones(X.shape[1])
        check_inverse(scale)
        alike = [i for i in waiting if configs[i].standardize == standardize]
        widths = np.array([configs[i].bandwidth for i in alike])
        checked_rows(X, X.shape[1], unit=widths.min() * scale)
        found = left_out((X - middle_of(X)) / scale, widths=widths)
        found -= np.log(scale).sum()
        for i, h, each in zip(alike, widths, found, strict=True):
            metrics = {"train_left_out_log_likelihood": float(each)}
            steps[i] = Step(n=1, metrics=metrics, model=Model(X, h * scale), state={})
    if waiting:
        yield steps


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the density, in one step."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step


def figures(config: Config, model: Model, data: Splits[Table]) -> Mapping[str, Figure]:
    """Return the likelihood of left-out rows over the bandwidth.

    At most 2,000 random rows are used, for which the best bandwidth is wider.
    """
    from ftml.plots import new_figure

    widths = config.bandwidth * np.geomspace(0.2, 5.0, 25)
    configs = [config.model_copy(update={"bandwidth": float(h)}) for h in widths]
    table = sample_rows(data.train, FIGURE_ROWS, seed=config.seed)
    (steps,) = train_many(configs, Splits(table))
    scores = [step.metrics["train_left_out_log_likelihood"] for step in steps if step]
    figure, axes = new_figure()
    axes.plot(widths, scores, marker="o", markersize=4)
    axes.axvline(config.bandwidth, color="black", linewidth=0.8, label="this model")
    # The likelihood is unbounded below, so the axis is cut to show the part near its
    # maximum.
    best = max(scores)
    axes.set_ylim(max(min(scores), best - 10.0), best + 0.5)
    axes.set(xscale="log", xlabel="bandwidth")
    axes.set(ylabel=f"mean log-density of {len(table)} left-out rows, nats")
    axes.legend()
    return {"bandwidth": figure}
