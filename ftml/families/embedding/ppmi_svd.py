"""Positive pointwise mutual information and its truncated singular value decomposition.

    M_ij = max(0, log( C_ij sum_v C_v^a / (C_i C_j^a) ) - log k)  =  U S V'

    x_i = (U S^p)_i,   z_j = (V S^(1 - p))_j,   so that x_i'z_j is M_ij at rank d

Axes: V words, d dimensions. C is the symmetric matrix of weighted counts, C_i its row
sums, a the smoothing of the neighbours, k the shift. At a = k = 1 the logarithm is PMI.

The notes take the eigenvectors of C times eigenvalue^(-1/2); the sign is wrong, and C
has negative eigenvalues, whose roots do not exist (mistake 39): hence the SVD, which
needs neither symmetry nor sign.

Source: Deep learning cheat sheet, 15.1, PMI and spectral embeddings; Levy, Goldberg,
Dagan (2015) for shift, smoothing and exponent; Halko, Martinsson, Tropp (2011),
algorithms 4.4 and 5.1, for the decomposition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from ftml.config import Choice, FamilyConfig, Uniform
from ftml.core import State, Step
from ftml.data import Cooccurrence, Splits
from ftml.families.embedding import _loops
from ftml.families.embedding._matrix import Rows, by_rows, symmetric
from ftml.families.embedding._vectors import Vectors

TASK = "embedding"
Model = Vectors


class Config(FamilyConfig):
    dimension: Annotated[int, Field(ge=1), Choice(32, 64, 128)] = 64
    "d, singular vectors that are kept"

    shift: Annotated[float, Field(ge=1), Choice(1.0, 2.0, 5.0)] = 1.0
    "k: PMI below its logarithm counts as zero, the effect of k negatives in skip-gram"

    smoothing: Annotated[float, Field(gt=0, le=1), Uniform(0.5, 1.0)] = 0.75
    "a: neighbours are weighted by count^a, which reduces the bias for rare ones"

    exponent: Annotated[float, Field(ge=0, le=1)] = 0.5
    "p: 0 gives all singular vectors equal weight, 1 approximates M M'"

    power_iterations: Annotated[int, Field(ge=0)] = 3
    "products with M M' that improve the random subspace"

    oversampling: Annotated[int, Field(ge=0)] = 12
    "dimensions of the random subspace beyond d"

    threads: Annotated[int, Field(ge=1)] = 1
    "threads of the products; their number changes nothing"


def ppmi(C: Rows, *, smoothing: float, shift: float) -> tuple[Rows, Rows]:
    """Return M and its transpose, where they are positive, in float32."""
    sums, row = C.sums(), C.row()
    damped = sums**smoothing
    with np.errstate(divide="ignore"):  # a word without neighbours has no entry
        of_word, of_neighbour = np.log(sums), np.log(damped / damped.sum())
    log_C = np.log(C.value) - np.log(shift)
    both = (
        log_C - of_word[row] - of_neighbour[C.col],
        log_C - of_neighbour[row] - of_word[C.col],
    )
    M, M_T = (C.with_value(value.astype(np.float32)) for value in both)
    return M.where(M.value > 0), M_T.where(M_T.value > 0)


def product(M: Rows, Q: np.ndarray, *, threads: int) -> np.ndarray:
    """Return M Q (V, d) in float32, for Q (V, d)."""
    out = np.empty_like(Q)

    def multiply(first: int, end: int) -> None:
        _loops.multiply(M.start, M.col, M.value, Q, first, end, out)

    by_rows(multiply, M, threads=threads)
    return out


def decompose(
    M: Rows, M_T: Rows, config: Config
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U (V, d), S (d,) and V (V, d) of the largest singular values of M.

    Where there are fewer than d, the rest is zero. The largest entry of each column of
    U is positive.
    """
    V, d, threads = len(M.start) - 1, config.dimension, config.threads
    k = min(V, d + config.oversampling)
    rng = np.random.default_rng(config.seed)
    Q = rng.standard_normal((V, k), dtype=np.float32)
    Q = _orthonormal(product(M, Q, threads=threads))
    for _ in range(config.power_iterations):
        Q = _orthonormal(product(M_T, Q, threads=threads))
        Q = _orthonormal(product(M, Q, threads=threads))
    B_T = product(M_T, Q, threads=threads)  # (V, k), its transpose is Q'M
    right, S, W_T = np.linalg.svd(B_T, full_matrices=False)
    left = Q @ W_T.T
    sign = np.where(left[np.abs(left).argmax(axis=0), np.arange(k)] < 0, -1, 1)
    missing = max(0, d - k)
    U, S, R = (
        np.pad(each[..., :d], [(0, 0)] * (each.ndim - 1) + [(0, missing)])
        for each in (left * sign, S, right * sign)
    )
    return U, S, R


def _orthonormal(Y: np.ndarray) -> np.ndarray:
    return np.linalg.qr(Y)[0].astype(np.float32)


def train(
    config: Config, data: Splits[Cooccurrence], state: State | None = None
) -> Iterator[Step]:
    """Yield once. `train_explained` is the fraction of the squared entries of M in the
    first d singular values.

    Raises ValueError for data without pairs, and when no entry of M is positive.
    """
    if state is not None:
        return
    C = symmetric(data.train)
    M, M_T = ppmi(C, smoothing=config.smoothing, shift=config.shift)
    if not len(M.value):
        raise ValueError(f"no pair has more PMI than log shift, shift {config.shift:g}")
    U, S, R = decompose(M, M_T, config)
    # 0^0 would be one: missing directions stay zero.
    X = U * np.where(S > 0, S**config.exponent, 0)
    Z = R * np.where(S > 0, S ** (1 - config.exponent), 0)
    explained = np.sum(S.astype(float) ** 2) / np.sum(M.value.astype(float) ** 2)
    model = Vectors(
        data.train.words,
        X.astype(np.float32),
        Z.astype(np.float32),
        spectrum=S.astype(np.float32),
    )
    yield Step(1, {"train_explained": float(explained)}, model, {"n": 1})
