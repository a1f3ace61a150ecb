"""Skip-gram with negative sampling, trained from counts of pairs of words.

    maximise  J = sum_ij C_ij log s(x_i'z_j)  +  k sum_i C_i E_{v ~ p_n} log s(-x_i'z_v)

Axes: V words, d dimensions. C is the symmetric matrix of weighted counts, C_i its row
sums, s the logistic function, and p_n(v) proportional to count_v^a, a = 3/4 (the notes'
p_n = a p does not sum to one: mistake 40). At full rank the derivative in x_i'z_j
vanishes where

    x_i'z_j = log( C_ij / (k C_i p_n(j)) ),  PMI(i, j) - log k if p_n(j) = C_j / sum C.

On a CPU (`_loops.skipgram_visits`) a pass visits random centres i, weighted by C_i. A
visit samples m neighbours from row i and S noise words, which they share, each with
weight k m / S: the expectation is that of J, and x_i is read and written once. Alias
tables make the cost of a random word constant. A pass samples as many neighbours as the
sum of the counts, the number of one epoch over the text. On a GPU (`_batches`) large
batches take steps of AdaGrad.

Source: Deep learning cheat sheet, 15.1, skip-grams and negative sampling; Mikolov et
al. (2013) for the step size; Walker (1977), alias tables; Recht et al. (2011), Hogwild,
for threads without locks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ftml.config import Choice, FamilyConfig, Integers, LogUniform
from ftml.core import State, Step, device
from ftml.data import Cooccurrence, Splits
from ftml.families.embedding import _loops, ppmi_svd
from ftml.families.embedding._matrix import (
    Rows,
    alias_table,
    alias_tables,
    by_rows,
    padded,
    symmetric,
)
from ftml.families.embedding._vectors import Vectors

TASK = "embedding"
Model = Vectors
WORD_LIMIT, NOISE_LIMIT = 3.0, 0.3
"""All steps of a visit on its word, rate m (1 + k), and one on a noise word, rate k m /
S, are limited to these values, because larger steps may diverge.
"""
LAST_RATE = 1e-4
"Ratio of the last learning rate to the first one, as in word2vec."


class Config(FamilyConfig):
    dimension: Annotated[int, Field(ge=1), Choice(32, 64, 128)] = 64
    "d, length of the vectors"

    negatives: Annotated[int, Field(ge=1), Integers(2, 10)] = 5
    "k, the weight of the noise: noise words for each counted pair"

    noise_exponent: Annotated[float, Field(ge=0)] = 0.75
    "a: the probability of a noise word is proportional to count^a"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(0.01, 0.06)] = 0.025
    "step size at the start, clipped where training would diverge; it falls linearly"

    n_passes: Annotated[int, Field(ge=1)] = 5
    "passes, each of about one epoch's pairs"

    positives: Annotated[int, Field(ge=1)] = 8
    "m, neighbours sampled at each visit of a word"

    noise_size: Annotated[int, Field(ge=1)] = 8
    "S, noise words of a visit, or of a batch for `batches`, shared by its neighbours"

    start: Literal["random", "ppmi_svd"] = "random"
    "initial vectors: word2vec's small random numbers, or a decomposition of PMI"

    summed: bool = False
    "whether a word is embedded as x + z rather than x"

    threads: Annotated[int, Field(ge=1)] = 1
    """threads that share the tables without locks; one thread makes the vectors
    reproducible
    """

    engine: Literal["auto", "loops", "batches"] = "auto"
    "compiled loops on the CPU, torch in batches, or batches if there is a GPU"

    batch_size: Annotated[int, Field(ge=1)] = 8192
    "pairs of a batch, for `batches`"

    adagrad_rate: Annotated[float, Field(gt=0)] = 0.2
    "step size of AdaGrad, for `batches`"


def objective(
    X: np.ndarray,
    Z: np.ndarray,
    C: Rows,
    *,
    counts: np.ndarray,
    config: Config,
) -> dict[str, float]:
    """Return J and its first part per counted pair, in nats, below zero.

    The pairs are summed exactly; the noise words of each row have a fixed seed, with
    more words for rows of larger weight, so that two models are compared on the same
    words. counts: (V,).
    """
    V, sums = len(X), C.sums()
    share = sums / sums.sum()
    noise = alias_table(counts**config.noise_exponent)
    draws = np.clip(share * NOISE_DRAWS, 16, NOISE_DRAWS // 64).astype(np.int64)
    positive, negative = np.zeros(V), np.zeros(V)

    def both(first: int, end: int) -> None:
        _loops.positive_part(X, Z, C.start, C.col, C.value, first, end, positive)
        _loops.noise_part(X, Z, noise, draws, 0, first, end, negative)

    by_rows(both, C, threads=config.threads)
    of_pairs = float(positive.sum() / sums.sum())
    whole = of_pairs + config.negatives * float(share @ negative)
    return {"train_objective": whole, "train_positive": of_pairs}


NOISE_DRAWS = 1 << 20
"Noise words of the reported objective, all rows together."

MOST_PAIRS = 2.0**63
"Pairs of a pass from which on their number is no 64-bit integer."


def train(
    config: Config, data: Splits[Cooccurrence], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. `train_objective` is J per counted pair, `train_positive`
    the part of it that is exact; both below zero, and the larger the better.

    Raises ValueError for data without pairs and for counts that sum to 2^63 or more,
    and FloatingPointError when the objective is no longer finite.
    """
    C = symmetric(data.train)
    _check_sum(C)
    counts, words, d = data.train.counts, data.train.words, config.dimension
    passes = _passes(config, data, C, state)
    for state in passes:
        X, Z = (_numpy(state[name]) for name in ("X", "Z"))
        metrics = objective(X, Z, C, counts=counts, config=config)
        if not math.isfinite(metrics["train_objective"]):
            rate = "adagrad_rate" if _in_batches(config) else "learning_rate"
            raise FloatingPointError(
                f"pass {state['n']}: the objective is {metrics['train_objective']:g}; "
                f"{rate} {getattr(config, rate)} is too large"
            )
        X, Z = (np.ascontiguousarray(each[:, :d]) for each in (X, Z))
        model = Vectors(words, X, Z, summed=config.summed)
        yield Step(state["n"], metrics, model, state)


def _check_sum(C: Rows) -> None:
    with np.errstate(over="ignore"):
        pairs = float(C.value.sum())
    if pairs >= MOST_PAIRS:
        raise ValueError(
            f"the counts sum to {pairs:g} pairs, and a pass visits as many; expected "
            f"fewer than {MOST_PAIRS:.0e}, divide the counts"
        )


def _numpy(table: object) -> np.ndarray:
    return table if isinstance(table, np.ndarray) else table.cpu().numpy()  # type: ignore[attr-defined]


def _passes(
    config: Config, data: Splits[Cooccurrence], C: Rows, state: State | None
) -> Iterator[State]:
    """Yield the state after each pass that is left."""
    if _in_batches(config):
        from ftml.families.embedding import _batches

        yield from _batches.passes(
            config, data.train, state, start=_start(config, data)
        )
        return
    state = state or _first_state(config, data)
    draws = alias_tables(C)
    centres = alias_table(C.sums())
    noise = alias_table(data.train.counts**config.noise_exponent)
    pairs = float(C.value.sum())
    while state["n"] < config.n_passes:
        state = _next_state(
            state, (C.start, draws, centres, noise), pairs=pairs, config=config
        )
        yield state


def _in_batches(config: Config) -> bool:
    gpu = config.engine == "auto" and device().type == "cuda"
    return gpu or config.engine == "batches"


def _start(config: Config, data: Splits[Cooccurrence]) -> tuple[np.ndarray, np.ndarray]:
    """Return X and Z (V, d) before the first pass: word2vec's, X small and uniform, Z
    0; or those of `ppmi_svd`.
    """
    V, d = len(data.train.words), config.dimension
    if config.start == "ppmi_svd":
        first = ppmi_svd.Config(dimension=d, seed=config.seed, threads=config.threads)
        (step,) = ppmi_svd.train(first, Splits(train=data.train))
        return step.model.X, step.model.Z
    rng = np.random.default_rng(config.seed)
    X = (rng.random((V, d), np.float32) - np.float32(0.5)) / np.float32(d)
    return X, np.zeros_like(X)


def _first_state(config: Config, data: Splits[Cooccurrence]) -> State:
    X, Z = _start(config, data)
    seeds = np.random.SeedSequence(config.seed).generate_state(
        config.threads, np.uint64
    )
    return {"n": 0, "X": padded(X), "Z": padded(Z), "random": seeds}


def _next_state(
    state: State,
    draws: tuple[np.ndarray, ...],
    *,
    pairs: float,
    config: Config,
) -> State:
    """Return the state after a pass; `state` is unchanged."""
    X, Z, random = (state[name].copy() for name in ("X", "Z", "random"))
    m, S, k = config.positives, config.noise_size, config.negatives
    limit = min(WORD_LIMIT / (m * (1 + k)), NOISE_LIMIT * S / (k * m))
    first = min(config.learning_rate, limit)
    left = 1 - np.arange(state["n"], state["n"] + 2) / config.n_passes
    rate = first * np.maximum(left, LAST_RATE)
    visits = max(1, round(pairs / m / config.threads))

    def visit(thread: int) -> None:
        # Each thread has its own generator; the state of all is written back at the
        # end.
        own = random[thread : thread + 1]
        _loops.skipgram_visits(X, Z, *draws, m, S, k, rate, visits, own)

    if config.threads == 1:
        visit(0)
    else:
        with ThreadPoolExecutor(config.threads) as pool:
            list(pool.map(visit, range(config.threads)))
    return {"n": state["n"] + 1, "X": X, "Z": Z, "random": random}
