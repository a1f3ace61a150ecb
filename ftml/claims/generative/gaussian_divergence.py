"""The divergence of a code from the prior has a closed form, for Gaussians.

    KL(N(mu, diag v) | N(0, I)) = (1/2) sum_j (mu_j^2 + v_j - 1 - log v_j)

A sample is log q(z) - log p(z) at a code z that the family samples from q, of three
dimensions; the mean of 200,000 is compared with the closed form within its standard
errors.

Source: Deep learning cheat sheet, section 19.2, closed-form solution of the KL term.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.distributions import Normal

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.generative._latent import drawn_code, gaussian_kl
from ftml.nn.layers import Draw

MU = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
LOG_V = torch.tensor([[0.3, -1.5, 0.0]], dtype=torch.float64)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean of the sampled log-ratios beside the closed form."""

    def log_ratios(rng: np.random.Generator, n: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        draw = Draw([generator], stacked=False)
        z = drawn_code(MU.expand(n, 3), LOG_V.expand(n, 3), draw)
        prior = Normal(torch.zeros_like(MU), torch.ones_like(MU))
        ratio = Normal(MU, (LOG_V / 2).exp()).log_prob(z) - prior.log_prob(z)
        found: np.ndarray = ratio.sum(dim=1).numpy()
        return found

    draws = budget.draw(log_ratios, seed=seed, n=200_000)
    return evidence_of_mean(draws, expected=float(gaussian_kl(MU, LOG_V)))
