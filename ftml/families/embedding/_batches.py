"""Skip-gram in batches on torch: for GPUs, on which large batches cost little more than
small ones.

Pairs are sampled in proportion to their weights. The noise words of a batch are shared
by its pairs, each with weight k/S: the expectation is the same, and the sums over them
are matrix products. Steps are AdaGrad's with one accumulator a word (Lerer et al.,
2019, PyTorch-BigGraph): word frequencies differ by factors of thousands, so that plain
steps of one size for all pairs of a batch diverge.

Axes: V words, d dimensions, B pairs of a batch, S noise words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from ftml.core import State, device
from ftml.data import Cooccurrence

if TYPE_CHECKING:
    from ftml.families.embedding.skipgram import Config

DELTA = 1e-8
"keeps AdaGrad's step finite where a word's gradient has been zero so far"


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
    """The data for sampling batches: the pairs, running sums of their weights, and
    running sums of the noise weights of words, in float64 because float32 cannot
    resolve millions of steps.
    """

    row: torch.Tensor
    col: torch.Tensor
    weight_sum: torch.Tensor
    noise_sum: torch.Tensor

    def draw(
        self, n_pairs: int, n_noise: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return words i, j (n_pairs,) sampled from C / sum C, and noise (n_noise,)."""
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


def passes(
    config: Config,
    data: Cooccurrence,
    state: State | None,
    *,
    start: tuple[np.ndarray, np.ndarray],
) -> Iterator[State]:
    """Yield the state after each remaining pass; a pass samples as many pairs as the
    sum of the counts.
    """
    pairs = read_pairs(data, noise_exponent=config.noise_exponent, on=device())
    state = state or _first_state(config, start)
    while state["n"] < config.n_passes:
        state = _next_state(state, pairs, config=config)
        yield state


def _first_state(config: Config, start: tuple[np.ndarray, np.ndarray]) -> State:
    generator = torch.Generator(device()).manual_seed(config.seed)
    X, Z = (torch.tensor(each, device=device()) for each in start)
    return {
        "n": 0,
        "X": X,
        "Z": Z,
        "X_squares": torch.zeros(len(X), device=device()),
        "Z_squares": torch.zeros(len(Z), device=device()),
        "generator": generator.get_state(),
    }


def _next_state(state: State, pairs: Pairs, *, config: Config) -> State:
    """Return the state after a pass; `state` is unchanged."""
    on, rate = pairs.row.device, config.adagrad_rate
    # C_ij and C_ji are both sampled.
    m = max(1, round(2 * float(pairs.weight_sum[-1])))
    tables = ("X", "Z", "X_squares", "Z_squares")
    X, Z, X_squares, Z_squares = (state[t].to(on, copy=True) for t in tables)
    generator = torch.Generator(on)
    generator.set_state(state["generator"])
    S, k = config.noise_size, config.negatives
    noise_weight = torch.full((S,), k / S, device=on)
    for begin in range(0, m, config.batch_size):
        B = min(config.batch_size, m - begin)
        i, j, v = pairs.draw(B, S, generator=generator)
        _, gradients = objective_and_gradients(
            X[i],
            Z[j],
            Z[v],
            weight=torch.full((B,), 1 / B, device=on),
            noise_weight=noise_weight,
        )
        both = torch.cat([gradients.z, gradients.noise])
        _climb(X, X_squares, i, gradients.x, learning_rate=rate)
        _climb(Z, Z_squares, torch.cat([j, v]), both, learning_rate=rate)
    after = dict(zip(tables, (X, Z, X_squares, Z_squares), strict=True))
    return {
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
    """Take one ascent step of AdaGrad, in place, on the rows `ids` of `vectors` (V, d).

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
