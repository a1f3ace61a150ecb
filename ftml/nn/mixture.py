"""Mixture densities whose parameters are a network's outputs.

    p(y | x) = sum_k pi_k(x) N(y; g_k(x), v_k(x)),   pi = softmax(a_pi), v = exp(a_v)

Axes: B batch, K components. The outputs are (B, 3 K): a_pi, then g, then a_v, which is
kept in [-LIMIT, LIMIT].

Source: Exam solutions, "NN & conditional density mixture".
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

LIMIT = 12.0
"Of log-variances: a component without width on a point would have any density there."


class Mixture(NamedTuple):
    """Components, each (B, K)."""

    log_share: Tensor
    mean: Tensor
    log_variance: Tensor


def mixture_of(outputs: Tensor) -> Mixture:
    """Return the mixture of a network's outputs (B, 3 K)."""
    logits, mean, log_variance = outputs.chunk(3, dim=-1)
    return Mixture(
        torch.log_softmax(logits, dim=-1), mean, log_variance.clamp(-LIMIT, LIMIT)
    )


def log_components(mixture: Mixture, y: Tensor) -> Tensor:
    """Return ln(pi_k N(y; g_k, v_k)), (B, K), for y (B,)."""
    squares = (y[:, None] - mixture.mean).square() * (-mixture.log_variance).exp()
    normal = squares + mixture.log_variance + math.log(2 * math.pi)
    return mixture.log_share - 0.5 * normal


class NegativeLogLikelihood(Function):
    """-ln p(y | x), (B,), of outputs (B, 3 K) and y (B,), derived by hand.

    With gamma_k = pi_k p_k / sum_j pi_j p_j, the gradient of ln p is gamma_k - pi_k in
    a_pi, gamma_k (y - g_k) / v_k in g, gamma_k ((y - g_k)^2 / v_k - 1) / 2 in a_v; a_v
    beyond the limit has none.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, y: Tensor) -> Tensor:
        mixture = mixture_of(outputs)
        parts = log_components(mixture, y)
        log_p = parts.logsumexp(dim=-1)
        ctx.save_for_backward(outputs, y, *mixture, (parts - log_p[:, None]).exp())
        return -log_p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor, None]:
        outputs, y, log_share, mean, log_variance, gamma = ctx.saved_tensors
        apart = y[:, None] - mean
        precision = (-log_variance).exp()
        inside = outputs.chunk(3, dim=-1)[2].abs() <= LIMIT
        gradients = (
            gamma - log_share.exp(),
            gamma * apart * precision,
            inside * gamma * (apart.square() * precision - 1) / 2,
        )
        return -bar[:, None] * torch.cat(gradients, dim=-1), None


def mean_of(mixture: Mixture) -> Tensor:
    """Return E[y | x] = sum_k pi_k g_k, (B,)."""
    return (mixture.log_share.exp() * mixture.mean).sum(dim=-1)


def variance_of(mixture: Mixture) -> Tensor:
    """Return sum_k pi_k (v_k + (g_k - E[y | x])^2), (B,): the law of total variance."""
    apart = mixture.mean - mean_of(mixture)[:, None]
    within = mixture.log_variance.exp()
    return (mixture.log_share.exp() * (within + apart.square())).sum(dim=-1)


def cdf_of(mixture: Mixture, y: Tensor) -> Tensor:
    """Return P(Y <= y | x), (B,), for y (B,)."""
    deviation = (mixture.log_variance / 2).exp()
    below = torch.special.ndtr((y[:, None] - mixture.mean) / deviation)
    return (mixture.log_share.exp() * below).sum(dim=-1)


def climbed(mixture: Mixture, *, n_iterations: int = 200) -> Tensor:
    """Return where each centre climbs to, (B, K): modes, of which some are the same.

    A mode is where y = sum_k w_k g_k / sum_k w_k, w_k = gamma_k(y) / v_k; from each
    centre that is iterated, which never lowers the density.
    """
    y = mixture.mean.clone()
    precision = (-mixture.log_variance).exp()
    for _ in range(n_iterations):
        squares = (y[..., None] - mixture.mean[:, None]).square() * precision[:, None]
        parts = mixture.log_share[:, None] - 0.5 * (
            squares + mixture.log_variance[:, None]
        )
        pull = torch.softmax(parts, dim=-1) * precision[:, None]  # (B, K, K)
        y = (pull * mixture.mean[:, None]).sum(dim=-1) / pull.sum(dim=-1)
    return y
