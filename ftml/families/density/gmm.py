"""Gaussian mixture by expectation-maximisation (EM), many restarts in one pass.

    E:  r_ik = pi_k N(x_i; mu_k, Sigma_k) / sum_j pi_j N(x_i; mu_j, Sigma_j)
    M:  pi_k = N_k / n,   mu_k = sum_i r_ik x_i / N_k,
        Sigma_k = sum_i r_ik (x_i - mu_k)(x_i - mu_k)' / N_k + reg_covar I

Axes: n rows, d columns, k components, R restarts. Sigma_k takes the new mu_k. The
weights are at their optimum where sum_i r_ik / pi_k is the same for all k, which is n
(the notes give n / k: mistake 16). M is taken in each component's whitened coordinates,
where nothing is lost by cancellation (`_em.py`). The log-likelihood never falls
except by reg_covar, which also prevents a component from collapsing onto a single row.

Source: Homework 4 answers, "Problem 4", and CS280 homework 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ftml.config import Choice, FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.standardize import check_squares
from ftml.data.table import sample_rows
from ftml.families.clustering import kmeans
from ftml.families.clustering._assignment import assign, middle_of, on_gpu
from ftml.families.clustering._restarts import going, last_steps
from ftml.families.density._em import FULL, Moments, expect, maximise, of_clusters
from ftml.families.density._mixture import Model, whitening

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TASK", "Config", "Model", "figures", "train", "train_many"]

TASK = "density"

KMEANS_STEPS = 10
"Steps of k-means that a restart begins with."
MOST_COMPONENTS, FIGURE_ROWS = 10, 1000
"""Largest number of components in the figure over k, and of rows that it is computed
from.
"""


class Config(FamilyConfig):
    n_components: Annotated[int, Field(ge=1), Integers(1, 8)] = 2
    "k, at most the number of training rows"

    covariance: Annotated[
        Literal["full", "tied", "diag", "spherical"],
        Choice("full", "tied", "diag", "spherical"),
    ] = "full"
    """each component has its own covariance, all share one, each has its own variances,
    or each has one variance"""

    n_init: Annotated[int, Field(ge=1)] = 2
    "restarts, each from a k-means of its own; the best one is the model"

    reg_covar: Annotated[float, Field(ge=0)] = 1e-6
    """added to every variance, in squared units of the columns, as in scikit-learn: it
    should be far below the variance of every column; scale columns of small units"""

    n_iterations: Annotated[int, Field(ge=1)] = 200
    "steps; a restart ends earlier when its log-likelihood hardly changes"

    tolerance: Annotated[float, Field(ge=0)] = 1e-5
    "change of the mean log-likelihood, in nats, at which a restart ends"


class Problem(NamedTuple):
    """The training rows, centred, so that rounding errors are relative to their
    standard deviation.
    """

    X: np.ndarray
    tensor: Any
    "the rows on a GPU, None where there is none"

    mean: np.ndarray
    "(d,)"


def make_problem(train: Table) -> Problem:
    check_squares(train.X, train.feature_names)
    mean = train.X.mean(axis=0)
    X = train.X - mean
    return Problem(X, on_gpu(X), mean)


def begin(config: Config, problem: Problem) -> State:
    """Return the state before the first step: one M step from clusters of k-means."""
    (n, d), k = problem.X.shape, config.n_components
    if k > n:
        raise ValueError(f"n_components is {k}, the training data has {n} rows")
    start = kmeans.Config(
        seed=config.seed,
        n_clusters=k,
        n_init=config.n_init,
        n_iterations=KMEANS_STEPS,
    )
    *_, last = kmeans.train(start, Splits(Table(problem.X)))
    centers = last.state["kept"] + middle_of(problem.X)  # (R, k, d)
    sizes = np.full(config.n_init, k)
    given = assign(problem.X, centers.reshape(-1, d), sizes)
    found = [of_clusters(problem.X, labels, k, config) for labels in given.labels]
    return started(
        config, problem, [np.stack(each) for each in zip(*found, strict=True)]
    )


def started(
    config: Config, problem: Problem, parameters: Sequence[np.ndarray]
) -> State:
    """Return the state before the first step at weights (R, k), means and roots.

    means: (R, k, d), of centred rows. roots: (R, k, d, d) or (R, k, d).
    """
    R = len(parameters[0])
    state = dict(zip(("weights", "means", "roots"), parameters, strict=True))
    (moments,) = _expected(problem, [state], [np.arange(R)])
    return {
        "n": 0,
        **state,
        **_arrays(moments, parameters),
        "done": np.zeros(R, bool),
    }


def _arrays(moments: Moments, parameters: Sequence[np.ndarray]) -> State:
    """Return the moments of R members with an axis of members, (R, k, ...)."""
    R, k = parameters[0].shape
    shaped = {
        name: value.reshape(R, k, *value.shape[1:])
        for name, value in moments._asdict().items()
        if name != "log_lik"
    }
    return {"log_lik": moments.log_lik, **shaped}


def _expected(
    problem: Problem, states: Sequence[State], alive: Sequence[np.ndarray]
) -> list[Moments]:
    """Return the moments of the active restarts of each state, computed in one pass."""
    parts = [
        [state[name][rows] for name in ("weights", "means", "roots")]
        for state, rows in zip(states, alive, strict=True)
    ]
    sizes = np.concatenate([np.full(len(w), w.shape[1]) for w, _, _ in parts])
    weights, means, roots = (
        np.concatenate([part[j].reshape(-1, *part[j].shape[2:]) for part in parts])
        for j in range(3)
    )
    X = problem.X if problem.tensor is None else problem.tensor
    whole = expect(X, np.log(weights), means, whitening(roots), sizes)
    found, r, m = [], 0, 0
    for w, _, _ in parts:
        R, M = len(w), w.size
        rest = (each[m : m + M] for each in whole[1:])
        found.append(Moments(whole.log_lik[r : r + R], *rest))
        r, m = r + R, m + M
    return found


def _maximised(
    config: Config, state: State, alive: np.ndarray
) -> dict[str, np.ndarray]:
    """Return weights, means and roots of all restarts, the active ones after M."""
    new = {name: state[name].copy() for name in ("weights", "means", "roots")}
    for r in alive:
        moments = Moments(
            state["log_lik"][r], *(state[name][r] for name in Moments._fields[1:])
        )
        found = maximise(moments, state["means"][r], state["roots"][r], config=config)
        for name, value in zip(new, found, strict=True):
            new[name][r] = value
    return new


def train_many(
    configs: Sequence[Config],
    data: Splits[Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield after each step of all configurations; one pass serves all restarts.

    Raises ValueError for more components than rows, and for one that collapses.
    """
    problem = make_problem(data.train)
    now = [
        begin(config, problem) if state is None else state
        for config, state in zip(configs, states or [None] * len(configs), strict=True)
    ]
    while members := going(configs, now):
        steps: list[Step | None] = [None] * len(configs)
        for whole in (True, False):
            group = [i for i in members if (configs[i].covariance in FULL) == whole]
            alike = [configs[i] for i in group]
            new = _advance(alike, [now[i] for i in group], problem) if group else []
            for i, state in zip(group, new, strict=True):
                now[i] = state
                steps[i] = _step(configs[i], state, problem)
        yield steps


def _advance(
    configs: Sequence[Config], states: Sequence[State], problem: Problem
) -> list[State]:
    """Return the states after an M and an E step of their active restarts."""
    n = len(problem.X)
    alive = [np.flatnonzero(~state["done"]) for state in states]
    new = [
        {**state, **_maximised(config, state, rows), "n": state["n"] + 1}
        for config, state, rows in zip(configs, states, alive, strict=True)
    ]
    found = _expected(problem, new, alive)
    for config, state, rows, moments in zip(configs, new, alive, found, strict=True):
        parts = [state["weights"][rows]]
        before = state["log_lik"]
        for name, value in _arrays(moments, parts).items():
            state[name] = state[name].copy()
            state[name][rows] = value
        change = np.abs(state["log_lik"] - before) / n
        state["done"] = state["done"] | (change < config.tolerance)
    return new


def _step(config: Config, state: State, problem: Problem) -> Step:
    best = int(state["log_lik"].argmax())
    metrics = {"train_log_likelihood": float(state["log_lik"][best]) / len(problem.X)}
    roots = state["roots"][best]
    if config.covariance == "tied":
        roots = roots[:1]
    if config.covariance == "spherical":
        roots = roots[:, :1]
    model = Model(state["weights"][best], state["means"][best] + problem.mean, roots)
    return Step(state["n"], metrics, model, state)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each EM step, until the log-likelihood hardly changes."""
    for (step,) in train_many([config], data, [state]):
        if step is not None:
            yield step


def bic(model: Model, X: np.ndarray) -> float:
    """Return the Bayesian information criterion: less is better."""
    log_lik = float(model.log_density(X).sum())
    return model.n_parameters * np.log(len(X)) - 2.0 * log_lik


def figures(config: Config, model: Model, data: Splits[Table]) -> Mapping[str, Figure]:
    """Return criteria for the number of components: held-out likelihood and BIC.

    A fifth of the rows is held out from the mixtures of 1, 2, ... components, which are
    trained at once; at most 1,000 random rows are used. BIC is divided by -2n: it is
    then the log-likelihood less a penalty.
    """
    from ftml.plots import new_figure

    table = sample_rows(data.train, FIGURE_ROWS, seed=config.seed)
    order = np.random.default_rng(config.seed).permutation(len(table))
    held, rest = np.split(order, [max(1, len(order) // 5)])
    train_rows, held_rows = table.rows(rest), table.rows(held)
    ks = range(1, min(max(MOST_COMPONENTS, config.n_components + 2), len(rest)) + 1)
    configs = [config.model_copy(update={"n_components": k}) for k in ks]
    models = [s.model for s in last_steps(train_many, configs, Splits(train_rows))]
    curves = {
        "training rows": [m.log_density(train_rows.X).mean() for m in models],
        "held-out rows": [m.log_density(held_rows.X).mean() for m in models],
        "BIC / -2n": [bic(m, train_rows.X) / (-2 * len(train_rows)) for m in models],
    }
    figure, axes = new_figure()
    for name, values in curves.items():
        axes.plot(ks, values, marker="o", markersize=4, label=name)
    axes.axvline(config.n_components, color="black", linewidth=0.8, label="this model")
    n, of = len(table), len(data.train)
    used = f" of {n:,} of {of:,} rows" if n < of else ""
    axes.set(xlabel="components", ylabel=f"mean log-likelihood{used}, nats")
    axes.legend()
    return {"number_of_components": figure}
