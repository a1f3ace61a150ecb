"""GloVe: weighted least squares on the logarithms of the counts.

    minimise  sum_ij f(C_ij) (x_i'z_j + b_i + c_j - log C_ij)^2
    f(C) = min(1, (C / C_max)^a)

Axes: V words, d dimensions, m entries. C is the symmetric matrix of weighted counts,
and the sum runs over its entries above zero. A pass visits each once, in a new random
order, and takes a step of AdaGrad; the biases are two more columns of the tables.

A word is embedded as x + z, as the authors do. A pair is scored by the logarithm of its
predicted count less log count_j^(3/4), the probability of j as noise (see
`ftml.tasks.embedding`); what depends on i alone is left out.

Source: Pennington, Socher, Manning (2014), GloVe, sections 3 and 4.2; the counts are
those of Deep learning cheat sheet, 15.1, AdaGrad its 14.9.5. The notes lack GloVe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.config import Choice, FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Cooccurrence, Splits
from ftml.families.embedding import _loops
from ftml.families.embedding._matrix import Rows, symmetric
from ftml.families.embedding._vectors import Vectors

TASK = "embedding"
Model = Vectors
NOISE_EXPONENT = 0.75


class Config(FamilyConfig):
    dimension: Annotated[int, Field(ge=1), Choice(32, 64, 128)] = 64
    "d, length of the vectors"

    count_max: Annotated[float, Field(gt=0), LogUniform(1.0, 100.0)] = 10.0
    "C_max: counts above it have equal weight"

    exponent: Annotated[float, Field(ge=0)] = 0.75
    "a: exponent of the weight as a function of the count"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(0.02, 0.2)] = 0.05
    "step size of AdaGrad, whose squares begin at 1"

    n_passes: Annotated[int, Field(ge=1)] = 10
    "passes over all entries"

    threads: Annotated[int, Field(ge=1)] = 1
    """threads that share the tables without locks; one thread makes the vectors
    reproducible
    """


def objective(
    X: np.ndarray,
    Z: np.ndarray,
    C: Rows,
    *,
    count_max: float,
    exponent: float,
) -> float:
    """Return the weighted mean square of the errors, sum f e^2 / sum f.

    X, Z: (V, d + 2), biases as `start` has them.
    """
    weight, target = weights(C, count_max=count_max, exponent=exponent)
    error = np.einsum("md,md->m", X[C.row()], Z[C.col]) - target
    return float(np.sum(weight * error**2) / np.sum(weight, dtype=float))


def weights(
    C: Rows, *, count_max: float, exponent: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return f(C_ij) and log C_ij of each entry, (m,) float32.

    Raises ValueError if all f(C_ij) are 0 in float32.
    """
    f = np.minimum(1.0, (C.value / count_max) ** exponent).astype(np.float32)
    if not f.any():
        raise ValueError(
            f"the largest count is {C.value.max():g}, so that every weight "
            f"(C / count_max)^exponent is 0 in float32; lower count_max, which is "
            f"{count_max:g}, or multiply the counts"
        )
    return f, np.log(C.value).astype(np.float32)


def train(
    config: Config, data: Splits[Cooccurrence], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. `train_loss` is the weighted mean square of the errors,
    each before its own step.

    Raises ValueError for data without pairs and as `weights`, and FloatingPointError
    when the loss is no longer finite.
    """
    C = symmetric(data.train)
    row, words = C.row(), data.train.words
    weight, target = weights(C, count_max=config.count_max, exponent=config.exponent)
    state = state or start(config, V=len(words))
    # The vector of a word without training data is irrelevant.
    log_noise = NOISE_EXPONENT * np.log(np.maximum(data.train.counts, 1))
    d, total_weight = config.dimension, float(weight.sum(dtype=float))
    while state["n"] < config.n_passes:
        n = state["n"] + 1
        tables = [state[name].copy() for name in TABLES]
        rng = np.random.default_rng((config.seed, n))
        order = rng.permutation(len(row)).astype(np.int64)

        def visit(part: np.ndarray, tables: list[np.ndarray] = tables) -> float:
            return _loops.glove_visits(
                *tables, row, C.col, target, weight, part, config.learning_rate
            )

        loss = _in_threads(visit, order, threads=config.threads) / total_weight
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"pass {n}: the loss is {loss:g}; learning_rate "
                f"{config.learning_rate} is too large"
            )
        state = {"n": n, **dict(zip(TABLES, tables, strict=True))}
        X, Z = tables[:2]
        bias = (Z[:, d + 1] - log_noise).astype(np.float32)
        vectors = Vectors(words, X[:, :d].copy(), Z[:, :d].copy(), bias, summed=True)
        yield Step(n, {"train_loss": loss}, vectors, state)


TABLES = ("X", "Z", "X_squares", "Z_squares")


def start(config: Config, *, V: int) -> State:
    """Return the state before the first pass: uniform values in +-1/(2d), squares of 1.

    Columns: d of the vector, the word's bias (1 in Z), the neighbour's bias (1 in X).
    """
    d, rng = config.dimension, np.random.default_rng((config.seed, 0))
    tables = {
        name: ((rng.random((V, d + 2)) - 0.5) / d).astype(np.float32)
        for name in ("X", "Z")
    }
    squares = {name: np.ones((V, d + 2), np.float32) for name in TABLES[2:]}
    tables["X"][:, d + 1] = tables["Z"][:, d] = 1
    squares["X_squares"][:, d + 1] = squares["Z_squares"][:, d] = np.inf
    return {"n": 0, **tables, **squares}


def _in_threads(visit, order: np.ndarray, *, threads: int) -> float:  # type: ignore[no-untyped-def]
    """Return the sum of the results of the visits of the parts of an order."""
    if threads == 1:
        return float(visit(order))
    with ThreadPoolExecutor(threads) as pool:
        return float(sum(pool.map(visit, np.array_split(order, threads))))
