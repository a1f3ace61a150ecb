"""Noise-contrastive estimation: a density learnt by classifying data against noise.

    P(row | x) = sigmoid(log p(x) - log p_n(x) - log nu),   log p(x) = e(x) + c

Axes: n rows, d columns, P coefficients; nu noise samples from a Gaussian p_n for each
row. c is learnt with the rest, and tends to -log Z: the fit itself makes the density
integrate to 1. It is consistent, not efficient. e is a Gaussian with bumps on some
training rows (`_energy.py`), linear in its coefficients: all is one logistic regression
with the offset -log p_n - log nu, solved by Newton's steps with a line search, plus a
penalty that pulls to the Gaussian of the rows' own covariance:

    penalty (tr L - log |L| - d + |h|^2 + |w|^2) / 2

Its first terms are the divergence of N(0, L^-1) from N(0, I), which the whitened rows
have: L stays positive definite, without which there would be no density.

The likelihood is that of the learnt constant, but of no more mass than 1: `log_mass`,
the log of the integral of exp(e + c), is estimated by importance sampling
(`_energy.py`), with a standard error of `log_z_error`, in nats, and taken off
where it is above 0. Otherwise bumps in regions without noise samples would raise the
score by a density that does not integrate to 1.

Source: Deep learning cheat sheet, 19.1; Gutmann and Hyvarinen (2010),
"Noise-contrastive estimation".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.density._energy import (
    Bumps,
    Model,
    bumps_at,
    check_size,
    coefficients,
    estimated_log_z,
    features,
    gaussian_log_z,
    split_coefficients,
    whitened_rows,
)

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "density"

AT_ONCE = 2**24
"Features in memory at once: 128 megabytes."
HALVINGS = 30
"A step is not made if this number of halvings does not lower the loss."


class Config(FamilyConfig):
    noise_ratio: Annotated[int, Field(ge=1)] = 10
    "nu"

    noise_scale: Annotated[float, Field(gt=0, le=10)] = 1.5
    "standard deviation of the noise, in units of the rows' own in every direction"

    n_bumps: Annotated[int, Field(ge=0)] = 50
    "bumps, at most the number of training rows; 0 for a Gaussian"

    width: Annotated[float, Field(gt=0), LogUniform(0.1, 1.0)] = 0.3
    "s of the bumps, in units of the distance of two rows"

    penalty: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e0)] = 1e-2
    """weight of the distance from the Gaussian of the rows, in the loss per row"""

    n_iterations: Annotated[int, Field(ge=1)] = 50
    "steps; training stops earlier when the gradient is below `tolerance`"

    tolerance: Annotated[float, Field(ge=0)] = 1e-8
    "largest absolute entry of the gradient at which training stops"

    n_draws: Annotated[int, Field(ge=100)] = 20_000
    "samples for the estimate of `log_mass`"


class Problem(NamedTuple):
    """Rows, noise samples, and the starting point of training."""

    y: np.ndarray
    "(n + nu n, d): whitened rows, then noise"

    bumps: Bumps

    stored: np.ndarray | None
    "(n + nu n, P + 1): the features of y, where they are few"

    offset: np.ndarray
    "(n + nu n,): -log p_n - log nu"

    label: np.ndarray
    "(n + nu n,): 1 for rows, 0 for noise"

    n: int
    d: int
    start: np.ndarray
    "(P + 1,): the Gaussian of the rows' covariance, c last"

    penalty: float


def make_problem(config: Config, y: np.ndarray, bumps: Bumps) -> Problem:
    """Return the problem of whitened rows y (n, d)."""
    n, d = y.shape
    rng = np.random.default_rng([config.seed, 1])
    noise = config.noise_scale * rng.normal(size=(config.noise_ratio * n, d))
    both = np.concatenate([y, noise])
    log_noise = -0.5 * np.sum((both / config.noise_scale) ** 2, axis=1)
    log_noise -= d * np.log(config.noise_scale * np.sqrt(2 * np.pi))
    precision, slope = np.eye(d), np.zeros(d)
    gaussian = coefficients(precision, slope, len(bumps.bumps))
    problem = Problem(
        y=both,
        bumps=bumps,
        stored=None,
        offset=-log_noise - np.log(config.noise_ratio),
        label=np.repeat([1.0, 0.0], [n, len(noise)]),
        n=n,
        d=d,
        start=np.append(gaussian, -gaussian_log_z(precision, slope)),
        penalty=config.penalty,
    )
    blocks = list(islice(blocks_of(problem), 2))
    if len(blocks) > 1:
        return problem
    return problem._replace(stored=blocks[0][1])


def blocks_of(problem: Problem) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the features (B, P + 1) of blocks of rows and noise, the last column ones.

    They are computed again at each call, unless one block holds them all.
    """
    if problem.stored is not None:
        yield slice(None), problem.stored
        return
    at_once = max(1, AT_ONCE // len(problem.start))
    for first in range(0, len(problem.y), at_once):
        part = slice(first, first + at_once)
        y = problem.y[part]
        yield part, np.hstack([features(y, problem.bumps), np.ones((len(y), 1))])


def scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Return the log-odds that each row of y is of the data, (n + nu n,)."""
    found = [F @ theta for _, F in blocks_of(problem)]
    return np.concatenate(found) + problem.offset


def loss(problem: Problem, theta: np.ndarray) -> float:
    """Return the objective at theta (P + 1,): inf unless L is positive definite."""
    L, h, w = split_coefficients(theta[:-1], problem.d)
    values = np.linalg.eigvalsh(L)
    if values[0] <= 0:
        return np.inf
    distance = np.sum(values - np.log(values) - 1.0) + h @ h + w @ w
    score = scores(problem, theta)
    signed = np.where(problem.label == 1, score, -score)
    logistic = np.logaddexp(0.0, -signed).sum() / problem.n
    return float(logistic + 0.5 * problem.penalty * distance)


def derivatives(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient (P + 1,) and the Hessian of the objective at theta."""
    gradient, hessian = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    for part, F in blocks_of(problem):
        p = expit(F @ theta + problem.offset[part])
        gradient += F.T @ (p - problem.label[part]) / problem.n
        hessian += (F.T * (p * (1 - p))) @ F / problem.n
    i, j = np.triu_indices(problem.d)
    inverse = np.linalg.inv(split_coefficients(theta[:-1], problem.d)[0])
    q, once = len(i), np.where(i == j, 0.5, 1.0)
    pull = np.append(theta[:-1], 0.0)
    pull[:q] = once * (np.eye(problem.d) - inverse)[i, j]
    stiff = np.diag(np.append(np.ones(len(theta) - 1), 0.0))
    # tr(L^-1 E_a L^-1 E_b) / 2, E_a with ones at (i, j) and (j, i)
    pairs = inverse[np.ix_(i, i)] * inverse[np.ix_(j, j)]
    pairs += inverse[np.ix_(i, j)] * inverse[np.ix_(j, i)]
    stiff[:q, :q] = once[:, None] * once * pairs
    return gradient + problem.penalty * pull, hessian + problem.penalty * stiff


def newton_step(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Return theta after the first of 1, 1/2, 1/4, ... steps that lowers the loss."""
    gradient, hessian = derivatives(problem, theta)
    direction = -cho_solve(cho_factor(hessian), gradient)
    before, slope = loss(problem, theta), float(gradient @ direction)
    # Near the optimum the change of the loss by a step is below its rounding error.
    enough = before + 4 * np.finfo(float).eps * abs(before)
    for halving in range(HALVINGS):
        t = 0.5**halving
        if loss(problem, theta + t * direction) <= enough + 1e-4 * t * slope:
            return theta + t * direction
    return theta


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each Newton step, until the gradient is small.

    Raises ValueError for rows that do not determine a Gaussian, and for more columns
    than can be solved for.
    """
    check_size(data.train.X.shape[1], min(config.n_bumps, len(data.train)))
    y, center, root = whitened_rows(data.train)
    rng = np.random.default_rng(config.seed)
    bumps = bumps_at(y, rng.permutation(len(y))[: config.n_bumps], width=config.width)
    problem = make_problem(config, y, bumps)
    state = {"n": 0, "theta": problem.start, "done": False} if state is None else state
    while state["n"] < config.n_iterations and not state["done"]:
        theta = newton_step(problem, state["theta"])
        gradient, _ = derivatives(problem, theta)
        largest = float(np.abs(gradient).max())
        state = {
            "n": state["n"] + 1,
            "theta": theta,
            "done": largest <= config.tolerance,
        }
        model = _model(config, theta, bumps, center, root)
        metrics = {
            "train_loss": loss(problem, theta),
            "train_gradient": largest,
            "train_log_mass": model.log_mass,
            "train_log_likelihood": float(model.log_density(data.train.X).mean()),
        }
        yield Step(state["n"], metrics, model, state)


def _model(
    config: Config,
    theta: np.ndarray,
    bumps: Bumps,
    center: np.ndarray,
    root: np.ndarray,
) -> Model:
    """Return the density at theta (P + 1,), and how far it is from integrating to 1."""
    L, h, w = split_coefficients(theta[:-1], len(center))
    log_z = -float(theta[-1])
    known = (L, h, bumps.bumps, w, bumps.width, center, root, log_z)
    rng = np.random.default_rng([config.seed, 2])
    true, error = estimated_log_z(
        Model(*known, log_z_error=0.0, log_mass=0.0), n_draws=config.n_draws, rng=rng
    )
    return Model(*known, log_z_error=error, log_mass=true - log_z)
