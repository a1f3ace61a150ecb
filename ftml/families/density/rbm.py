"""Restricted Boltzmann machine: a distribution of binary rows with hidden units.

    p(x) = exp(-F(x)) / Z,   F(x) = -a'x - sum_j log(1 + exp(b_j + W_j'x))

Axes: n rows, d columns, h hidden units, C chains. The gradient of log p is a mean over
the data minus a mean over the model, which is estimated by `n_gibbs` Gibbs steps: from
the rows of the batch (contrastive divergence), or from chains that are continued from
batch to batch (persistent).

Z is summed exactly if the smaller side has at most 16 units. Otherwise it is estimated
by annealed importance sampling from independent columns, with the standard error over
chains (`log_z_error`, in nats). Chains that mix badly make Z too small, and the
likelihood too high, by more than that error.

The family has the task `binary_density`, because its probabilities cannot be compared
with the densities of real vectors.

Source: Deep learning cheat sheet, 17.4.3; Tieleman (2008), "Training restricted
Boltzmann machines using approximations to the likelihood gradient"; Salakhutdinov and
Murray (2008), "On the quantitative analysis of deep belief networks".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import expit, log_expit, logsumexp

from ftml.config import Choice, FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rows import checked_rows
from ftml.tasks.binary_density import check_binary

TASK = "binary_density"

MOST_SUMMED = 16
"""Largest number of units of the smaller side for which Z is a sum over all their
states.
"""
AT_ONCE = 2**22
"Values of units in memory at once in such a sum: 32 megabytes."
CHAINS, TEMPERATURES = 100, 1000
"Chains of annealed importance sampling."
BURN_IN = 500
"Gibbs steps before a sample is taken."


class Config(FamilyConfig):
    n_hidden: Annotated[int, Field(ge=1), Choice(16, 32, 64)] = 16
    "h"

    persistent: bool = False
    "chains continue from batch to batch, instead of starting from its rows"

    n_gibbs: Annotated[int, Field(ge=1)] = 1
    "Gibbs steps for each gradient"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(3e-2, 3e-1)] = 0.1
    "step size; it falls linearly to 0 over the epochs"

    batch_size: Annotated[int, Field(ge=1)] = 20
    "rows of a step, and persistent chains"

    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    "half of it times |W|^2 is added to the loss, the mean of -log p"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "passes over the rows"


def softplus(z: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, z)


@dataclass(frozen=True)
class Model:
    W: np.ndarray
    "(d, h)"

    a: np.ndarray
    "(d,)"

    b: np.ndarray
    "(h,)"

    base: np.ndarray
    "(d,): log-odds of the columns alone, the start of annealing"

    def negative_free_energy(self, X: np.ndarray) -> np.ndarray:
        """Return -F(x), (n,), for X (n, d) of zeros and ones."""
        return X @ self.a + softplus(X @ self.W + self.b).sum(axis=1)

    @cached_property
    def _log_z(self) -> tuple[float, float]:
        if min(self.W.shape) <= MOST_SUMMED:
            return exact_log_z(self), 0.0
        return annealed_log_z(
            self, n_chains=CHAINS, n_temperatures=TEMPERATURES, seed=0
        )

    @property
    def log_z(self) -> float:
        """log Z, exact or estimated."""
        return self._log_z[0]

    @property
    def log_z_error(self) -> float:
        """Standard error of log Z, in nats; 0 where it is exact."""
        return self._log_z[1]

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) in nats, (n,), for X (n, d) of zeros and ones."""
        X = checked_rows(X, len(self.a))
        return self.negative_free_energy(X) - self.log_z

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each hidden unit, (n, h), for X (n, d)."""
        X = checked_rows(X, len(self.a))
        return expit(X @ self.W + self.b)

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples (n, d), each from a chain of 500 Gibbs steps from
        the base.
        """
        rng = np.random.default_rng(seed)
        rows = bernoulli(np.broadcast_to(expit(self.base), (n, len(self.base))), rng)
        return gibbs(rows, self.W, self.a, self.b, n_steps=BURN_IN, rng=rng)


def bernoulli(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return Bernoulli samples with these probabilities."""
    return (rng.random(p.shape) < p).astype(np.float64)


def gibbs(
    x: np.ndarray,
    W: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    *,
    n_steps: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return rows (C, d) after `n_steps` steps through the hidden units and back."""
    for _ in range(n_steps):
        hidden = bernoulli(expit(x @ W + b), rng)
        x = bernoulli(expit(hidden @ W.T + a), rng)
    return x


def exact_log_z(model: Model) -> float:
    """Return log Z as a sum over all states of the smaller side."""
    d, h = model.W.shape
    W, own, other = (
        (model.W.T, model.b, model.a) if h <= d else (model.W, model.a, model.b)
    )
    size, at_once = len(own), max(1, AT_ONCE // len(other))
    log_weight = np.empty(2**size)
    for first in range(0, 2**size, at_once):
        codes = np.arange(first, min(first + at_once, 2**size))
        states = (codes[:, None] >> np.arange(size)) & 1
        sums = softplus(states @ W + other).sum(axis=1)
        log_weight[codes] = states @ own + sums
    return float(logsumexp(log_weight))


def annealed_log_z(
    model: Model, *, n_chains: int, n_temperatures: int, seed: int
) -> tuple[float, float]:
    """Return log Z by annealed importance sampling, and its standard error.

        log p_t(x) = (1 - t) base'x + t a'x + sum_j log(1 + exp(t (b_j + W_j'x)))

    t goes from 0, where everything is known, to 1; a chain's weight is the product of
    the ratios p_t(x) / p_s(x) of neighbouring temperatures s < t, and Z / Z_0 is their
    mean.
    """
    W, a, b, base = model.W, model.a, model.b, model.base
    rng = np.random.default_rng(seed)
    x = bernoulli(np.broadcast_to(expit(base), (n_chains, len(base))), rng)
    log_weight = np.zeros(n_chains)
    pull = x @ W + b
    temperatures = np.linspace(0.0, 1.0, n_temperatures + 1)
    for s, t in pairwise(temperatures):
        log_weight += (t - s) * (x @ (a - base))
        log_weight += (softplus(t * pull) - softplus(s * pull)).sum(axis=1)
        hidden = bernoulli(expit(t * pull), rng)
        x = bernoulli(expit((1 - t) * base + t * (hidden @ W.T + a)), rng)
        pull = x @ W + b
    known = len(b) * np.log(2.0) + float(softplus(base).sum())
    weight = np.exp(log_weight - log_weight.max())
    error = float(weight.std() / weight.mean() / np.sqrt(n_chains))
    return known + float(log_weight.max() + np.log(weight.mean())), error


def gradients(
    rows: np.ndarray, fantasies: np.ndarray, W: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients in W, a and b of the mean of log p over rows (B, d).

    fantasies: (C, d), samples of the model.
    """
    hidden, dreamt = expit(rows @ W + b), expit(fantasies @ W + b)
    return (
        rows.T @ hidden / len(rows) - fantasies.T @ dreamt / len(fantasies),
        rows.mean(axis=0) - fantasies.mean(axis=0),
        hidden.mean(axis=0) - dreamt.mean(axis=0),
    )


def begin(config: Config, X: np.ndarray) -> State:
    """Return the state before the first epoch: columns independent, W near 0."""
    rng = np.random.default_rng(config.seed)
    n, d = X.shape
    # One additional row of each value: a constant column then has finite log-odds.
    share = (X.sum(axis=0) + 1.0) / (n + 2.0)
    base = np.log(share / (1.0 - share))
    return {
        "n": 0,
        "W": 0.01 * rng.normal(size=(d, config.n_hidden)),
        "a": base,
        "b": np.zeros(config.n_hidden),
        "base": base,
        "chains": bernoulli(np.broadcast_to(share, (config.batch_size, d)), rng),
    }


def advance(config: Config, state: State, X: np.ndarray) -> State:
    """Return the state after a pass over the rows, in a random order."""
    rng = np.random.default_rng([config.seed, 1, state["n"]])
    W, a, b, chains = (state[name] for name in ("W", "a", "b", "chains"))
    rate = config.learning_rate * (1.0 - state["n"] / config.n_epochs)
    order = rng.permutation(len(X))
    for first in range(0, len(X), config.batch_size):
        rows = X[order[first : first + config.batch_size]]
        start = chains if config.persistent else rows
        fantasies = gibbs(start, W, a, b, n_steps=config.n_gibbs, rng=rng)
        if config.persistent:
            chains = fantasies
        in_W, in_a, in_b = gradients(rows, fantasies, W, b)
        W = W + rate * (in_W - config.weight_decay * W)
        a, b = a + rate * in_a, b + rate * in_b
    return {**state, "n": state["n"] + 1, "W": W, "a": a, "b": b, "chains": chains}


def pseudo_log_likelihood(
    model: Model, X: np.ndarray, rng: np.random.Generator
) -> float:
    """Return d times the mean log-probability of one random value given the others."""
    n, d = X.shape
    flipped, column = X.copy(), rng.integers(d, size=n)
    flipped[np.arange(n), column] = 1.0 - flipped[np.arange(n), column]
    gain = model.negative_free_energy(X) - model.negative_free_energy(flipped)
    return d * float(log_expit(gain).mean())


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for values other than 0 and 1."""
    X = data.train.X
    check_binary(X)
    state = begin(config, X) if state is None else state
    while state["n"] < config.n_epochs:
        state = advance(config, state, X)
        model = Model(state["W"], state["a"], state["b"], state["base"])
        rng = np.random.default_rng([config.seed, 2, state["n"]])
        rebuilt = expit(model.transform(X) @ model.W.T + model.a)
        metrics = {
            "train_pseudo_log_likelihood": pseudo_log_likelihood(model, X, rng),
            "train_reconstruction_error": float(np.mean((X - rebuilt) ** 2)),
        }
        yield Step(state["n"], metrics, model, state)
