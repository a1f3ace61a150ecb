"""k-means: each row belongs to the nearest of k centres, each centre is its rows' mean.

    minimise (1/n) sum_i |x_i - c(x_i)|^2,   c(x) the centre nearest to x

Axes: n rows, d columns, k centres, R restarts. Lloyd's steps never raise the objective.
With mini-batches, centre j moves by (m - c_j) b / N_j, m the mean of the b rows of the
batch that are nearest to it and N_j the number of all rows assigned to it so far.
Restarts, and configurations of any k, are assigned in one product of matrices.

Step n evaluates the centres after n - 1 updates, and its model has these centres.

Source: FTML lecture 9, "Clustering"; mini-batches: Sculley (2010), "Web-scale k-means
clustering".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rows import checked_rows
from ftml.data.standardize import check_squares
from ftml.data.table import sample_rows
from ftml.families.clustering._assignment import (
    Assignment,
    Rows,
    assign,
    filled,
    middle_of,
)
from ftml.families.clustering._plus_plus import plus_plus
from ftml.families.clustering._restarts import going, last_steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "clustering"

ELBOW, ELBOW_ROWS = 12, 5000
"""How many numbers of centres the figure over k has, from 1 on, and from how many rows
it is computed."""


class Config(FamilyConfig):
    n_clusters: Annotated[int, Field(ge=1), Integers(2, 8)] = 3
    "k, at most the number of training rows"

    n_init: Annotated[int, Field(ge=1)] = 4
    "restarts, each from its own k-means++ start; the best one is the model"

    algorithm: Literal["lloyd", "mini_batch"] = "lloyd"
    "move centres after each pass, or after each batch of rows"

    batch_size: Annotated[int, Field(ge=1)] = 256
    "rows of a mini-batch"

    n_iterations: Annotated[int, Field(ge=1)] = 100
    "steps; a restart ends earlier when its centres hardly move"

    tolerance: Annotated[float, Field(ge=0)] = 1e-4
    """squared distance that all centres of a restart move in its last step, in units
    of the columns' mean variance within clusters: a row far out enlarges the variance
    of all rows, and not that one"""


@dataclass(frozen=True)
class Model:
    centers: np.ndarray
    "(k, d)"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the nearest centre, (n,), for X (n, d)."""
        X = checked_rows(X, self.centers.shape[1])
        middle = middle_of(self.centers)  # far from 0, differences would be lost
        sizes = np.array([len(self.centers)])
        return assign(X - middle, self.centers - middle, sizes).labels[0]


@dataclass(frozen=True)
class Problem:
    """The training rows, centred: rounding errors are then relative to their standard
    deviation.
    """

    rows: Rows
    mean: np.ndarray
    "(d,): or the median, if values far out move the mean away from the rows"

    @property
    def X(self) -> np.ndarray:
        return self.rows.X


def make_problem(train: Table) -> Problem:
    check_squares(train.X, train.feature_names)
    mean = middle_of(train.X)
    X = train.X - mean
    return Problem(Rows(X), mean)


def begin(config: Config, problem: Problem) -> State:
    """Return the state before the first step: the centres of k-means++."""
    n, k = len(problem.X), config.n_clusters
    if k > n:
        raise ValueError(f"n_clusters is {k}, the training data has {n} rows")
    seeds = np.random.SeedSequence(config.seed).spawn(config.n_init)
    generators = [np.random.default_rng(seed) for seed in seeds]
    drawn = plus_plus(problem.X, np.full(config.n_init, k), generators)
    return {
        "n": 0,
        "centers": np.array(drawn),  # (R, k, d)
        "seen": np.zeros((config.n_init, k)),
        "inertia": np.full(config.n_init, np.inf),
        "done": np.zeros(config.n_init, bool),
        "kept": np.array(drawn),
    }


def advance(
    config: Config, state: State, given: Assignment, alive: np.ndarray, problem: Problem
) -> State:
    """Return the state after a step.

    given: the assignment of the rows to the centres of the restarts in `alive`.
    """
    k, d = state["centers"].shape[1:]
    inertia, kept, done = (state[key].copy() for key in ("inertia", "kept", "done"))
    centers, seen = state["centers"].copy(), state["seen"].copy()
    inertia[alive] = given.distance.mean(axis=1)
    kept[alive] = centers[alive]
    if config.algorithm == "lloyd":
        full = filled(given, problem.X, np.full(len(alive), k))
        counts = full.counts.reshape(-1, k, 1)
        means = full.sums.reshape(-1, k, d) / np.maximum(counts, 1.0)
        centers[alive] = np.where(counts > 0, means, centers[alive])
    else:
        rng = np.random.default_rng([config.seed, state["n"]])
        shuffled = problem.X[rng.permutation(len(problem.X))]
        for r in alive:
            centers[r], seen[r] = one_pass(
                shuffled, centers[r], seen[r], batch_size=config.batch_size
            )
    moved = np.sum((centers[alive] - kept[alive]) ** 2, axis=(1, 2))
    done[alive] = moved <= config.tolerance * inertia[alive] / d
    return {
        "n": state["n"] + 1,
        "centers": centers,
        "seen": seen,
        "inertia": inertia,
        "done": done,
        "kept": kept,
    }


def one_pass(
    X: np.ndarray, centers: np.ndarray, seen: np.ndarray, *, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (k, d) and the number of rows assigned to each so far (k,) after
    mini-batches.
    """
    sizes = np.array([len(centers)])
    for first in range(0, len(X), batch_size):
        batch = assign(X[first : first + batch_size], centers, sizes)
        seen = seen + batch.counts
        pull = batch.sums - batch.counts[:, None] * centers
        centers = centers + pull / np.maximum(seen, 1.0)[:, None]
    return centers, seen


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield after each step of all configurations; all restarts are assigned at once.

    Raises ValueError for more clusters than rows, and for squares that float64 does not
    have.
    """
    problem = make_problem(data.train)
    now = [
        begin(config, problem) if state is None else state
        for config, state in zip(configs, states or [None] * len(configs), strict=True)
    ]
    while members := going(configs, now):
        alive = {i: np.flatnonzero(~now[i]["done"]) for i in members}
        parts = _assigned(problem, [now[i]["centers"][alive[i]] for i in members])
        steps: list[Step | None] = [None] * len(configs)
        for i, given in zip(members, parts, strict=True):
            now[i] = advance(configs[i], now[i], given, alive[i], problem)
            steps[i] = _step(now[i], problem)
        yield steps


def _assigned(problem: Problem, members: list[np.ndarray]) -> list[Assignment]:
    """Return the assignment of each configuration's centres (R, k, d)."""
    sizes = np.concatenate([np.full(len(c), c.shape[1]) for c in members])
    flat = np.concatenate([c.reshape(-1, c.shape[2]) for c in members])
    whole = problem.rows.assign(flat, sizes)
    parts, r, m = [], 0, 0
    for c in members:
        R, M = len(c), len(c) * c.shape[1]
        parts.append(
            Assignment(
                whole.labels[r : r + R],
                whole.distance[r : r + R],
                whole.sums[m : m + M],
                whole.counts[m : m + M],
            )
        )
        r, m = r + R, m + M
    return parts


def _step(state: State, problem: Problem) -> Step:
    best = int(state["inertia"].argmin())
    metrics = {"train_inertia": float(state["inertia"][best])}
    return Step(state["n"], metrics, Model(state["kept"][best] + problem.mean), state)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each step, until centres hardly move or the steps are done."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step


def numbers_of_centers(k: int, n: int) -> list[int]:
    """Return at most 12 numbers of centres, at most n: 1, 2, ... for small k.

    For larger k the steps grow with the number, up to a fourth beyond k.
    """
    last = max(ELBOW, k + 2 if k <= ELBOW - 2 else round(1.25 * k))
    found = np.unique(np.geomspace(1, last, ELBOW).round().astype(int))
    if last == ELBOW:
        found = np.arange(1, ELBOW + 1)
    nearest = np.abs(np.log(found / k)).argmin()
    found[nearest] = k
    return [int(each) for each in found if each <= n]


def figures(config: Config, model: Model, data: Splits[Table]) -> Mapping[str, Figure]:
    """Return inertia and silhouette over the number of centres, trained at once.

    At most 5,000 random rows are used, and at most 12 numbers of centres, the one of
    the model among them. All are trained by Lloyd's steps: mini-batches, which save
    time on many rows, take longer on so few.
    """
    from ftml.plots import new_figure
    from ftml.tasks.clustering import silhouette

    table = sample_rows(data.train, ELBOW_ROWS, seed=config.seed)
    ks = numbers_of_centers(config.n_clusters, len(table))
    lloyd = config.model_copy(update={"algorithm": "lloyd"})
    configs = [lloyd.model_copy(update={"n_clusters": k}) for k in ks]
    last = last_steps(train_many, configs, Splits(table))
    models = [step.model for step in last]
    figure, axes = new_figure(6.4, 4.2)
    inertia = [step.metrics["train_inertia"] for step in last]
    (line,) = axes.plot(ks, inertia, marker="o", markersize=4, label="inertia")
    axes.axvline(config.n_clusters, color="black", linewidth=0.8, label="this model")
    n, of = len(table), len(data.train)
    used = f" of {n:,} of {of:,}" if n < of else ""
    axes.set(xlabel="k", ylabel=f"inertia, per row{used}", ylim=(0, None))
    other = axes.twinx()
    other.grid(False)
    other.spines["right"].set_visible(True)
    scores = [silhouette(table.X, m.predict(table.X)) for m in models[1:]]
    (second,) = other.plot(
        ks[1:], scores, marker="s", markersize=4, color="#D55E00", label="silhouette"
    )
    other.set(ylabel="silhouette")
    figure.legend(handles=[line, second], loc="outside upper center", ncols=2)
    return {"number_of_clusters": figure}
