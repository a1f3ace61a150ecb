"""Penalties on weights, as minus logarithms of priors where they are such.

Axes: l layers, K components of a mixture, w all weights. Biases are not penalised.

Source: Exam solutions, "Exercise (2022)"; Deep learning cheat sheet, sections 14.11 to
14.12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Strength = float | Tensor
"A number, or one for each of M entries, (M,), whose weights are (M, ...)."


def l1(weights: Sequence[Tensor], strength: Strength) -> Tensor:
    """Return strength sum |w|, () or (M,)."""
    return strength * _sum([each.abs() for each in weights], strength)


def l2(weights: Sequence[Tensor], strength: Strength) -> Tensor:
    """Return strength / 2 sum w^2, () or (M,): its gradient is strength w."""
    return strength / 2 * _sum([each.square() for each in weights], strength)


def _sum(parts: Sequence[Tensor], strength: Strength) -> Tensor:
    lead = 1 if isinstance(strength, Tensor) else 0
    return torch.stack([each.flatten(lead).sum(dim=-1) for each in parts]).sum(dim=0)


def soft_threshold(w: Tensor, limit: Tensor | float) -> Tensor:
    """Return sign(w) max(|w| - limit, 0).

    With limit lambda / H_ii it minimises 1/2 sum_i H_ii (v_i - w_i)^2 + lambda |v|_1.
    """
    return w.sign() * (w.abs() - limit).clamp(min=0)


def gaussian_prior(
    weights: Sequence[Tensor], sigmas: Sequence[float], *, lead: int = 0
) -> Tensor:
    """Return -ln p of a Gaussian prior with a standard deviation for each layer, ().

        sum_l |w_l|^2 / (2 sigma_l^2) + d_l / 2 ln(2 pi sigma_l^2)

    Inputs a times as large and sigma_1 a times as small give the same function the same
    penalty, but for a constant; one sigma for all layers does not, and the notes write
    its inverse (mistakes 5 and 6). lead: 1 for weights (M, ...) of a stack, whose
    result is (M,).
    """
    if len(weights) != len(sigmas):
        raise ValueError(
            f"sigmas: expected one for each of {len(weights)} layers, got {len(sigmas)}"
        )
    parts = [
        (rows.square() / s**2 + math.log(2 * math.pi * s**2)).sum(dim=-1) / 2
        for rows, s in zip((w.flatten(lead) for w in weights), sigmas, strict=True)
    ]
    return torch.stack(parts).sum(dim=0)


def log_components(
    w: Tensor, means: Tensor, log_variances: Tensor, logits: Tensor
) -> Tensor:
    """Return ln(pi_k N(w_i; mu_k, v_k)) for weights w (n,): (n, K).

    means, log_variances, logits: (K,); pi is the softmax of the logits.
    """
    squares = (w[:, None] - means).square() * (-log_variances).exp()
    normal = -0.5 * (squares + log_variances + math.log(2 * math.pi))
    return torch.log_softmax(logits, dim=0) + normal


def mixture_prior(
    w: Tensor, means: Tensor, log_variances: Tensor, logits: Tensor
) -> Tensor:
    """Return R(w) = -sum_i ln sum_k pi_k N(w_i; mu_k, v_k), (): soft weight sharing."""
    return -log_components(w, means, log_variances, logits).logsumexp(dim=1).sum()


def mixture_prior_gradient(
    w: Tensor, means: Tensor, log_variances: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradient of R in the weights, means, log-variances and logits.

    With gamma_ik the share of component k in weight i and u_ik^2 = (w_i - mu_k)^2 /
    v_k, as the notes derive them, for log v = 2 log sigma (mistake 7):

        dR/dw_i = sum_k gamma_ik (w_i - mu_k) / v_k
        dR/dmu_k = sum_i gamma_ik (mu_k - w_i) / v_k
        dR/dlog v_k = sum_i gamma_ik (1 - u_ik^2) / 2
        dR/da_k = sum_i (pi_k - gamma_ik)
    """
    gamma = torch.softmax(log_components(w, means, log_variances, logits), dim=1)
    apart = w[:, None] - means
    pull = gamma * apart * (-log_variances).exp()
    squares = apart.square() * (-log_variances).exp()
    return (
        pull.sum(dim=1),
        -pull.sum(dim=0),
        (gamma * (1 - squares) / 2).sum(dim=0),
        (torch.softmax(logits, dim=0) - gamma).sum(dim=0),
    )


def nearest_component(
    w: Tensor, means: Tensor, log_variances: Tensor, logits: Tensor
) -> Tensor:
    """Return the most probable component of each weight (n,), int64."""
    return log_components(w, means, log_variances, logits).argmax(dim=1)
