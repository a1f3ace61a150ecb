"""Skip-gram with negative sampling, trained from counts of pairs of words.

    maximise  sum_ij C_ij log s(x_i'z_j)  +  k sum_i C_i E_{v ~ p_n} log s(-x_i'z_v)

Axes: V words, d dimensions, B pairs of a batch, S noise words. C is the symmetric
matrix of weighted counts, C_i its row sums, s the logistic function, and p_n(v)
proportional to count_v^a, a = 3/4 (the notes' p_n = a p does not sum to one: mistake
40). At full rank the derivative in x_i'z_j vanishes where

    x_i'z_j = log( C_ij / (k C_i p_n(j)) ),  PMI(i, j) - log k if p_n(j) = C_j / sum C.

Pairs are drawn by weight, so that a pass costs by its different pairs and not by the
length of the text. The noise words of a batch are shared by its pairs, each with weight
k/S: the expectation is the same, and the sums over them are matrix products. Steps are
AdaGrad's with one accumulator a word: words differ in frequency by factors of
thousands, and plain steps of one size for all diverged.

Source: 004_df1c07f69d89a0c0.txt, 15.1, skip-grams and negative sampling; AdaGrad,
14.9.5; its row-wise form and shared noise: Lerer et al. (2019), PyTorch-BigGraph.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch.nn.functional import logsigmoid

from ftml.config import Choice, FamilyConfig, Integers, LogUniform
from ftml.core import State, Step, device
from ftml.data import Cooccurrence, Splits

TASK = "embedding"
DELTA = 1e-8
"keeps AdaGrad's step finite where a word's gradient has been zero so far"


class Config(FamilyConfig):
    dimension: Annotated[int, Field(ge=1), Choice(32, 64, 128)] = 64
    "length of the vectors"

    negatives: Annotated[int, Field(ge=1), Integers(2, 10)] = 5
    "k, the weight of the noise: noise words for each counted pair"

    noise_exponent: Annotated[float, Field(ge=0)] = 0.75
    "a: noise words are drawn in proportion to count^a"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(0.05, 1.0)] = 0.2
    "step size of AdaGrad: the root mean square of a row's first step"

    n_passes: Annotated[int, Field(ge=1)] = 8
    "passes; each draws as many pairs as there are different ones"

    batch_size: Annotated[int, Field(ge=1)] = 512
    "B, the pairs of one step"

    noise_size: Annotated[int, Field(ge=1)] = 64
    "S, the noise words of one step, shared by its pairs"


@dataclass(frozen=True)
class Model:
    words: tuple[str, ...]
    X: np.ndarray
    "(V, dimension) float32: the vectors of the words, what `embed` returns"
    Z: np.ndarray
    "(V, dimension) float32: their vectors as neighbours of another word"

    def pair_score(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Return x_i'z_j, (n,), for word ids i in rows (n,) and j in cols (n,)."""
        score: np.ndarray = np.einsum("nd,nd->n", self.X[rows], self.Z[cols])
        return score

    def embed(self, words: Sequence[str]) -> np.ndarray:
        """Return the vector of each word, (n, d); ValueError names an unknown one."""
        number = {word: i for i, word in enumerate(self.words)}
        for word in words:
            if word not in number:
                (near,) = difflib.get_close_matches(word, self.words, n=1, cutoff=0.0)
                raise ValueError(f"unknown word {word!r}; nearest: {near}")
        return self.X[[number[word] for word in words]]

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the n other words of largest cosine to a word, and the cosine."""
        return self._nearest_to(self.embed([word])[0], n=n, without={word})

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the n words that are to c as b is to a, by cosine to b - a + c.

        The three vectors have length 1 first, and are left out (Mikolov et al., 2013).
        """
        A = _unit(self.embed([a, b, c]))
        return self._nearest_to(A[1] - A[0] + A[2], n=n, without={a, b, c})

    def _nearest_to(
        self, vector: np.ndarray, *, n: int, without: set[str]
    ) -> list[tuple[str, float]]:
        cosine = _unit(self.X) @ _unit(vector[None])[0]
        order = np.argsort(-cosine, kind="stable")[: n + len(without)]
        found = [(self.words[i], float(cosine[i])) for i in order]
        return [pair for pair in found if pair[0] not in without][:n]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return the rows with length 1; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


class Gradients(NamedTuple):
    """The gradient of the objective in the vectors of each of its three roles."""

    x: torch.Tensor
    z: torch.Tensor
    noise: torch.Tensor


def objective_and_gradients(
    x: torch.Tensor,
    z: torch.Tensor,
    noise: torch.Tensor,
    *,
    weight: torch.Tensor,
    noise_weight: torch.Tensor,
) -> tuple[torch.Tensor, Gradients]:
    """Return the objective (to be maximised) of given pairs, and its gradients.

        J = sum_b w_b [ log s(x_b'z_b) + sum_v q_v log s(-x_b'n_v) ]

        dJ/dx_b = w_b [ s(-x_b'z_b) z_b - sum_v q_v s(x_b'n_v) n_v ]
        dJ/dz_b = w_b s(-x_b'z_b) x_b
        dJ/dn_v = -q_v sum_b w_b s(x_b'n_v) x_b

    x, z: (B, d), the vectors of the pairs. noise: (S, d). weight w: (B,). noise_weight
    q: (S,). In training w = 1/B and q = k/S. All pairs with w = C_ij / sum C, and all
    words as noise with q = k p_n, give the exact objective per pair.
    """
    positive = torch.einsum("bd,bd->b", x, z)
    negative = x @ noise.T  # (B, S)
    inner = logsigmoid(positive) + logsigmoid(-negative) @ noise_weight
    pull = weight * torch.sigmoid(-positive)
    push = weight[:, None] * torch.sigmoid(negative) * noise_weight  # (B, S)
    return weight @ inner, Gradients(
        x=pull[:, None] * z - push @ noise, z=pull[:, None] * x, noise=-push.T @ x
    )


class Pairs(NamedTuple):
    """What batches are drawn from: the pairs, running sums of their weights, and of the
    words' as noise, in float64: float32 cannot tell millions of steps apart."""

    row: torch.Tensor
    col: torch.Tensor
    weight_sum: torch.Tensor
    noise_sum: torch.Tensor

    def draw(
        self, n_pairs: int, n_noise: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return words i, j (n_pairs,) drawn from C / sum C, and noise (n_noise,)."""
        at = _draw(self.weight_sum, n_pairs, generator=generator)
        # C_ij = C_ji = weight and C_ii = 2 weight: either order with probability 1/2.
        exchanged = torch.rand(n_pairs, generator=generator, device=at.device) < 0.5
        row, col = self.row[at], self.col[at]
        i, j = torch.where(exchanged, col, row), torch.where(exchanged, row, col)
        return i, j, _draw(self.noise_sum, n_noise, generator=generator)


def read_pairs(data: Cooccurrence, *, noise_exponent: float, on: torch.device) -> Pairs:
    """Return the pairs of a corpus on a device."""
    return Pairs(
        row=torch.tensor(data.row, dtype=torch.int64, device=on),
        col=torch.tensor(data.col, dtype=torch.int64, device=on),
        weight_sum=torch.tensor(np.cumsum(data.weight), device=on),
        noise_sum=torch.tensor(np.cumsum(data.counts**noise_exponent), device=on),
    )


def _draw(running: torch.Tensor, n: int, *, generator: torch.Generator) -> torch.Tensor:
    """Return n indices, each in proportion to its step of a running sum."""
    u = torch.rand(n, dtype=torch.float64, generator=generator, device=running.device)
    index = torch.searchsorted(running, u * running[-1], right=True)
    # u < 1, but its product with the total can round up to the total.
    return index.clamp_max(len(running) - 1)


def train(
    config: Config, data: Splits[Cooccurrence], state: State | None = None
) -> Iterator[Step]:
    """Yield after each pass. `train_objective` is the mean of J over its batches: the
    objective per counted pair, in nats, below zero, and the larger the better.

    Raises ValueError for data without pairs, and FloatingPointError when the objective
    or the sum of squared gradients is no longer finite.
    """
    words = data.train.words
    if not len(data.train):
        raise ValueError("the training data have no pair of words")
    pairs = read_pairs(data.train, noise_exponent=config.noise_exponent, on=device())
    state = state or _start(config, V=len(words))
    while state["n"] < config.n_passes:
        objective, state = _next_state(state, pairs, config=config)
        # A square that overflows makes every later step of its row zero, and no NaN.
        squares = state["X_squares"].sum() + state["Z_squares"].sum()
        if not math.isfinite(objective + float(squares)):
            raise FloatingPointError(
                f"pass {state['n']}: the objective is {objective:g}, the squared "
                f"gradients {float(squares):g}; learning_rate {config.learning_rate} "
                "is too large"
            )
        X, Z = (state[name].cpu().numpy() for name in ("X", "Z"))
        yield Step(
            state["n"], {"train_objective": objective}, Model(words, X, Z), state
        )


def _start(config: Config, *, V: int) -> State:
    """Return the state before the first pass, word2vec's: X small and uniform, Z 0."""
    generator = torch.Generator(device()).manual_seed(config.seed)
    uniform = torch.rand(V, config.dimension, generator=generator, device=device())
    return {
        "n": 0,
        "X": (uniform - 0.5) / config.dimension,
        "Z": torch.zeros_like(uniform),
        "X_squares": torch.zeros(V, device=device()),
        "Z_squares": torch.zeros(V, device=device()),
        "generator": generator.get_state(),
    }


def _next_state(state: State, pairs: Pairs, *, config: Config) -> tuple[float, State]:
    """Return the mean objective of a pass, and the state after it; `state` stays."""
    on, m, rate = pairs.row.device, len(pairs.row), config.learning_rate
    tables = ("X", "Z", "X_squares", "Z_squares")
    X, Z, X_squares, Z_squares = (state[t].to(on, copy=True) for t in tables)
    generator = torch.Generator(on)
    generator.set_state(state["generator"])
    S, k = config.noise_size, config.negatives
    noise_weight = torch.full((S,), k / S, device=on)
    total = torch.zeros((), dtype=torch.float64, device=on)
    for begin in range(0, m, config.batch_size):
        B = min(config.batch_size, m - begin)
        i, j, v = pairs.draw(B, S, generator=generator)
        objective, gradients = objective_and_gradients(
            X[i],
            Z[j],
            Z[v],
            weight=torch.full((B,), 1 / B, device=on),
            noise_weight=noise_weight,
        )
        total += B * objective
        both = torch.cat([gradients.z, gradients.noise])
        _climb(X, X_squares, i, gradients.x, learning_rate=rate)
        _climb(Z, Z_squares, torch.cat([j, v]), both, learning_rate=rate)
    after = dict(zip(tables, (X, Z, X_squares, Z_squares), strict=True))
    return float(total / m), {
        "n": state["n"] + 1,
        **after,
        "generator": generator.get_state(),
    }


def _climb(
    vectors: torch.Tensor,
    squares: torch.Tensor,
    ids: torch.Tensor,
    gradient: torch.Tensor,
    *,
    learning_rate: float,
) -> None:
    """Take one step of AdaGrad uphill, in place, on the rows `ids` of `vectors` (V, d).

    gradient: (n, d), summed where ids repeat. squares: (V,), the sum over steps of the
    mean square of the row's gradient.
    """
    rows, place = torch.unique(ids, return_inverse=True)
    summed = gradient.new_zeros(len(rows), gradient.shape[1]).index_add_(
        0, place, gradient
    )
    squares[rows] += summed.square().mean(dim=1)
    step = learning_rate / (DELTA + squares[rows].sqrt())
    vectors[rows] += step[:, None] * summed
