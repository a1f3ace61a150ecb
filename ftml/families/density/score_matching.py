"""Score matching: fit the gradient of the log-density, which needs no normaliser.

    minimise J = E[ sum_i d_i psi_i(x) + (1/2) |psi(x)|^2 ],   psi = grad log p
    sliced:  J = E[ v' (d psi / dx) v + (1/2) (v' psi(x))^2 ],   v ~ N(0, I)

(the notes have the second term with a minus, for which there is no minimum: mistake
43). Axes: n rows, d columns, P coefficients. The model is a Gaussian with bumps on some
training rows (`_energy.py`). log p is linear in its coefficients theta, so J is theta'A
theta / 2 + b'theta and the optimum solves one linear system. `penalty` is added to A
for the bumps only. J does not see how much mass lies where no row is: a fit of few
rows, or of a heavy tail, can have nearly all of it there. So the penalty is multiplied
by ten (`train_penalty`) until the Gaussian's precision is positive definite, as a
density requires, and the likelihood is not below that of the fit without bumps, to
which a high penalty leads: neither that of the training rows nor that of each fifth of
them when the others are fitted. Without bumps the solution is the precision of the
rows, exactly. The sliced objective uses `n_slices` directions for each row instead of
all d.

Without bumps log Z is known, and the likelihood is exact. With bumps log Z is estimated
by importance sampling (`_energy.py`), once, with the standard error that the metric
`train_log_z_error` gives, in nats.

Source: Deep learning cheat sheet, 17.1; Hyvarinen (2005), "Estimation of non-normalized
statistical models by score matching"; sliced: Song et al. (2019), "Sliced score
matching".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import scipy.linalg
from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.density._energy import (
    Bumps,
    Model,
    bump_values,
    bumps_at,
    check_size,
    estimated_log_z,
    gaussian_log_z,
    split_coefficients,
    whitened_rows,
)

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "density"

AT_ONCE = 2**21
"Derivatives of features in memory at once: 16 megabytes."

RAISED = 12
"Number of penalties that are tried, each ten times the previous one."
MISSED = 1e-3
"By how much the likelihood may be below that without bumps, in nats per sample."
FOLDS = 5
"Parts of the training rows, each held out once."


class Config(FamilyConfig):
    objective: Literal["exact", "sliced"] = "exact"
    "the whole score of each row, or its component along random directions"

    n_slices: Annotated[int, Field(ge=1)] = 4
    "directions of each row, for `sliced`"

    n_bumps: Annotated[int, Field(ge=0)] = 50
    "bumps, at most the number of training rows; 0 for a Gaussian"

    width: Annotated[float, Field(gt=0), LogUniform(0.1, 1.0)] = 0.2
    "s of the bumps, in units of the distance of two rows"

    penalty: Annotated[float, Field(gt=0), LogUniform(1e-2, 1e1)] = 1e-1
    "half of it times the squared heights of the bumps is added to the objective"

    n_draws: Annotated[int, Field(ge=100)] = 20_000
    "samples for the estimate of log Z"


def quadratic(
    y: np.ndarray, bumps: Bumps, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return A (P, P) and b (P,) of the objective at whitened rows y (n, d).

    directions: (V, n, d), summed over; for each row the unit vectors give the exact
    objective. Random directions give it in expectation: divide by the sum of their
    squares.
    """
    P = y.shape[1] * (y.shape[1] + 3) // 2 + len(bumps.bumps)
    A, b = np.zeros((P, P)), np.zeros(P)
    at_once = max(1, AT_ONCE // P)
    for v in directions:
        for first in range(0, len(y), at_once):
            part = slice(first, first + at_once)
            slopes, curvatures = along(y[part], bumps, v[part])
            A += slopes.T @ slopes
            b += curvatures.sum(axis=0)
    return A / len(y), b / len(y)


def along(y: np.ndarray, bumps: Bumps, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return v'grad and v'Hess v of every feature, (n, P), at rows y (n, d).

    v: (n, d). The features are those that the coefficients multiply.
    """
    i, j = np.triu_indices(y.shape[1])
    half = np.where(i == j, 0.5, 1.0)
    products = -half * (y[:, i] * v[:, j] + v[:, i] * y[:, j])
    curved = -2.0 * half * v[:, i] * v[:, j]
    height, s = bump_values(y, bumps), bumps.width
    # v'(y - z) of every bump
    towards = np.sum(v * y, axis=1, keepdims=True) - v @ bumps.bumps.T
    length = np.sum(v**2, axis=1, keepdims=True)
    return (
        np.hstack([products, v, -height * towards / s**2]),
        np.hstack(
            [curved, np.zeros_like(v), height * (towards**2 / s**4 - length / s**2)]
        ),
    )


def random_directions(
    config: Config, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return directions (V, n, d): all unit vectors, or random ones for `sliced`.

    Random directions are scaled so that the sum over V is a mean.
    """
    n, d = shape
    if config.objective == "exact":
        return np.broadcast_to(np.eye(d)[:, None], (d, n, d))
    return rng.normal(size=(config.n_slices, n, d)) / np.sqrt(config.n_slices)


def solve(A: np.ndarray, b: np.ndarray, *, free: int, penalty: float) -> np.ndarray:
    """Return the coefficients (P,) at the optimum, the first `free` without penalty.

    Raises ValueError if A is singular.
    """
    A = A + penalty * np.diag(np.arange(len(b)) >= free)
    values = np.linalg.eigvalsh(A)
    if values[0] <= 1e-12 * values[-1]:
        raise ValueError(
            f"the directions do not fix the {len(b)} coefficients: raise n_slices, or "
            f"penalty above {penalty:g}, or set objective: exact"
        )
    theta: np.ndarray = scipy.linalg.solve(A, -b, assume_a="pos")
    return theta


def densities(
    A: np.ndarray, b: np.ndarray, d: int, *, penalty: float
) -> Iterator[tuple[np.ndarray, float]]:
    """Yield the coefficients (P,) for the penalty, ten times it, ..., and the penalty,
    where they are those of a density. The last ones have hardly any bumps.

    Raises ValueError as `solve` does, and if no penalty gives a density.
    """
    found = False
    for penalty_now in penalty * 10.0 ** np.arange(RAISED):
        theta = solve(A, b, free=d * (d + 3) // 2, penalty=float(penalty_now))
        if is_density(theta, d):
            found = True
            yield theta, float(penalty_now)
    if not found:
        raise ValueError(
            f"at no penalty up to {penalty_now:g} is L positive definite, and the fit "
            "a density; raise n_slices, or set objective: exact"
        )


def is_density(theta: np.ndarray, d: int) -> bool:
    """Return whether the L of coefficients (P,) is positive definite."""
    return bool(np.linalg.eigvalsh(split_coefficients(theta, d)[0])[0] > 0)


def plain_log_likelihood(A: np.ndarray, b: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log-likelihood of whitened rows y (n, d) at the optimum without
    bumps, -inf if that is no density.
    """
    d = y.shape[1]
    free = d * (d + 3) // 2
    theta = solve(A[:free, :free], b[:free], free=free, penalty=0.0)
    if not is_density(theta, d):
        return -np.inf
    L, h, _ = split_coefficients(theta, d)
    energy = -0.5 * np.einsum("ni,ij,nj->n", y, L, y) + y @ h
    return float(energy.mean()) - gaussian_log_z(L, h)


@dataclass(frozen=True)
class Fold:
    """A part of the rows, and the objective at all others, with bumps on them only."""

    y: np.ndarray
    "(n, d) whitened rows of the part"

    bumps: Bumps
    A: np.ndarray
    b: np.ndarray


def folds(
    y: np.ndarray, rows: np.ndarray, bumps: Bumps, directions: np.ndarray, *, seed: int
) -> Iterator[Fold]:
    """Yield random parts of whitened rows y (n, d): five, or n of fewer rows.

    rows: (m,) those on which the bumps are.
    """
    count = min(FOLDS, len(y))
    part = np.random.default_rng(seed).permutation(len(y)) % count
    for k in range(count):
        kept = part != k
        others = Bumps(bumps.bumps[kept[rows]], bumps.width)
        A, b = quadratic(y[kept], others, directions[:, kept])
        yield Fold(y[~kept], others, A, b)


def held_out_gain(
    parts: list[Fold], *, penalty: float, n_draws: int, seed: int
) -> float:
    """Return by how much the bumps raise the likelihood of held-out rows, in nats per
    sample, and -inf if the other rows are too few. n_draws: samples for all log Z.
    """
    rng, n_draws = np.random.default_rng(seed), n_draws // len(parts)
    try:
        gains = [
            _gain(part, penalty=penalty, n_draws=n_draws, rng=rng) for part in parts
        ]
    except ValueError:
        return -np.inf
    return float(np.average(gains, weights=[len(part.y) for part in parts]))


def _gain(
    part: Fold, *, penalty: float, n_draws: int, rng: np.random.Generator
) -> float:
    """Raises ValueError where the other rows do not determine the coefficients."""
    d = part.y.shape[1]
    theta = solve(part.A, part.b, free=d * (d + 3) // 2, penalty=penalty)
    if not is_density(theta, d):
        return -np.inf
    L, h, w = split_coefficients(theta, d)
    unit = np.zeros(d), np.eye(d)
    model = Model(L, h, part.bumps.bumps, w, part.bumps.width, *unit, 0.0, 0.0, 0.0)
    log_z, _ = estimated_log_z(model, n_draws=n_draws, rng=rng)
    energy = float(model.energy_of_whitened(part.y).mean())
    return energy - log_z - plain_log_likelihood(part.A, part.b, part.y)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the solution, in one step.

    Raises ValueError for rows that do not determine a Gaussian, for too few directions
    to determine the solution, and for more columns than can be solved for.
    """
    if state is not None:
        return
    check_size(data.train.X.shape[1], min(config.n_bumps, len(data.train)))
    y, center, root = whitened_rows(data.train)
    d, rng = y.shape[1], np.random.default_rng(config.seed)
    rows = rng.permutation(len(y))[: config.n_bumps]
    bumps = bumps_at(y, rows, width=config.width)
    directions = random_directions(config, y.shape, rng)
    A, b = quadratic(y, bumps, directions)
    parts = list(folds(y, rows, bumps, directions, seed=config.seed))
    least = plain_log_likelihood(A, b, y) - np.log(np.diag(root)).sum() - MISSED
    for theta, penalty in densities(A, b, d, penalty=config.penalty):
        L, h, w = split_coefficients(theta, d)
        known = (L, h, bumps.bumps, w, bumps.width, center, root)
        unnormalised = Model(*known, log_z=0.0, log_z_error=0.0, log_mass=0.0)
        log_z, error = estimated_log_z(unnormalised, n_draws=config.n_draws, rng=rng)
        model = Model(*known, log_z, error, log_mass=0.0)
        log_likelihood = float(model.log_density(data.train.X).mean())
        if log_likelihood < least:
            continue
        gain = held_out_gain(
            parts, penalty=penalty, n_draws=config.n_draws, seed=config.seed
        )
        if gain >= -MISSED:
            break
    metrics = {
        "train_objective": float(0.5 * theta @ A @ theta + b @ theta),
        "train_penalty": penalty,
        "train_log_z_error": error,
        "train_log_likelihood": log_likelihood,
    }
    yield Step(n=1, metrics=metrics, model=model, state={})
