"""Stochastic average gradient (SAG) on a finite sum: one step per sample, n per pass.

    a_i <- derivative of the loss of sample i at x_i'theta,   i random
    theta <- theta - gamma [ (1/m) sum_j a_j x_j + mu theta ]

Axes: n samples, d coefficients. A linear model stores one number a_j per sample and
their sum, so a step costs O(d); m counts the samples seen so far. (The notes use y_i
for this memory and for the label, and two iteration indices: mistake 11.) With L =
L_max the steps are

    1/16L        gamma = 1 / (16 L): expected gap (1 - min(mu/(16L), 1/(8n)))^t, proved
    1/L          gamma = 1 / L, what is used in practice
    line_search  gamma = 1 / (l + mu); l, a guess of the loss's part of L, doubles where
                 a step 1/l on sample i does not lower its loss by the half of
                 |gradient|^2 / l, and shrinks by 2^(-1/n) a step

and with `lipschitz` sampling half of the samples are chosen in proportion to L_i, and L
is the harmonic mean of L_max and the mean of L_i: samples with large Lipschitz
constants are used often.

Source: FTML lecture 9, "SAG" (TP 5); Schmidt, Le Roux and Bach (2017), "Minimizing
finite sums with the stochastic average gradient".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np

from ftml.compiled import compiled
from ftml.config import Choice
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.families.linear._binary import Model
from ftml.families.optimization import _finite_sum
from ftml.families.optimization._finite_sum import FiniteSum, random_indices, steepness

__all__ = ["N_CLASSES", "TASK", "Config", "Model", "train"]

TASK = "classification"
N_CLASSES = 2


class Config(_finite_sum.SolverConfig):
    step: Annotated[
        Literal["1/16L", "1/L", "line_search"], Choice("1/16L", "1/L", "line_search")
    ] = "1/L"
    "how the step size is found"

    sampling: Annotated[
        Literal["uniform", "lipschitz"], Choice("uniform", "lipschitz")
    ] = "lipschitz"
    "how samples are chosen"


@compiled
def descend(
    X: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    slopes: np.ndarray,
    rows: np.ndarray,
    gamma: float,
    guess: float,
    mu: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return theta, the memory a and the guess l after a step on each of `rows` (n,).

    slopes: (n,) a, zero for a sample that was not visited. gamma: the step size, 0 to
    search for it from `guess` on.
    """
    theta, slopes = theta.copy(), slopes.copy()
    # A derivative that was computed is not zero: exp does not underflow before 745.
    total, seen = np.dot(slopes, X), np.count_nonzero(slopes)
    shrink = 2.0 ** (-1.0 / len(y))
    for i in rows:
        x, label = X[i], y[i]
        margin = label * np.dot(x, theta)
        slope = -label * steepness(margin)
        if gamma == 0.0:
            guess = enlarged(guess, margin, slope * slope * np.dot(x, x))
        size = gamma if gamma > 0.0 else 1.0 / (guess + mu)
        guess *= shrink
        seen += slopes[i] == 0.0
        total += (slope - slopes[i]) * x
        slopes[i] = slope
        theta *= 1.0 - size * mu
        theta -= (size / max(seen, 1)) * total
    return theta, slopes, guess


@compiled
def enlarged(guess: float, margin: float, square: float) -> float:
    """Return l, doubled until a step of 1/l lowers the sample's loss enough.

    margin: y x'theta. square: |gradient|^2 of the sample's loss, a^2 |x|^2; below 1e-8
    only rounding could be compared. The step moves the margin by square / (|a| l).
    """
    if square <= 1e-8:
        return guess
    while True:
        moved = margin + square / (steepness(margin) * guess)
        # log(1 + exp(-m)) = max(-m, 0) + log(1 + exp(-|m|)).
        before = max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))
        after = max(-moved, 0.0) + math.log1p(math.exp(-abs(moved)))
        if after <= before - 0.5 * square / guess:
            return guess
        guess *= 2.0


def step_size(constants: np.ndarray, config: Config) -> float:
    """Return gamma for the L_i (n,), 0 if it is searched."""
    if config.step == "line_search":
        return 0.0
    L = constants.max()
    if config.sampling == "lipschitz":
        L = 2.0 / (1.0 / L + 1.0 / constants.mean())
    return float(1.0 / L if config.step == "1/L" else 1.0 / (16.0 * L))


def sampling_probabilities(constants: np.ndarray, config: Config) -> np.ndarray | None:
    """Return the sampling probabilities (n,); None for uniform."""
    if config.sampling == "uniform":
        return None
    return 0.5 / len(constants) + 0.5 * constants / constants.sum()


def begin(g: FiniteSum, config: Config) -> State:
    n, d = g.X.shape
    return {
        "theta": np.zeros(d),
        "slopes": np.zeros(n),
        "guess": 1.0,
        "generator": config.seed,
    }


def advance(g: FiniteSum, config: Config, state: State) -> State:
    """Return the state after n steps."""
    constants = g.smoothness_of_each
    rows, generator = random_indices(
        state["generator"], len(g.y), sampling_probabilities(constants, config)
    )
    theta, slopes, guess = descend(
        g.X,
        g.y,
        state["theta"],
        state["slopes"],
        rows,
        step_size(constants, config),
        state["guess"],
        g.mu,
    )
    return {
        "theta": theta,
        "slopes": slopes,
        "guess": float(guess),
        "generator": generator,
    }


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. Raises ValueError unless the data has two classes."""
    yield from _finite_sum.run(config, data, state, begin=begin, advance=advance)
