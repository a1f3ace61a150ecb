"""The gradient of a mixture prior in sigma_k has the factor 1 / sigma_k.

    dR/dsigma_k = sum_i gamma_k(w_i) (1 / sigma_k) (1 - (w_i - mu_k)^2 / sigma_k^2)

R(w) = -sum_i ln sum_k pi_k N(w_i; mu_k, sigma_k^2) is the penalty of soft weight
sharing. The notes print 1 / sigma_k^2 (mistake 7). The family learns log sigma^2, whose
gradient is sigma / 2 times as large; the measured value is the gradient in the smallest
sigma, 0.2, relative to the central difference of R. As printed it is 1 / 0.2 times
that.

Source: Exam solutions, "Exercise (2022)", (3.3.3).
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.penalties import mixture_prior, mixture_prior_gradient

MISTAKES = (7,)

SIGMAS = torch.tensor([0.2, 0.5, 1.5], dtype=torch.float64)
STEP = 1e-5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the gradient relative to the central difference, and the value in the
    source.
    """
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(200, generator=generator, dtype=torch.float64)
    means = torch.tensor([0.0, 1.0, -0.5], dtype=torch.float64)
    logits = torch.tensor([0.3, 0.0, -0.3], dtype=torch.float64)
    gradients = (
        mixture_prior_gradient(w, means, 2 * SIGMAS.log(), logits)[2] * 2 / SIGMAS
    )
    move = torch.tensor([STEP, 0.0, 0.0], dtype=torch.float64)
    up, down = (
        mixture_prior(w, means, 2 * (SIGMAS + s * move).log(), logits) for s in (1, -1)
    )
    share = float(gradients[0] / ((up - down) / (2 * STEP)))
    return Evidence(
        expected=1.0,
        measured=share,
        tolerance=1e-5,
        value_in_source=share / float(SIGMAS[0]),
    )
