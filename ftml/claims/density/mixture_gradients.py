"""The gradients of a mixture's likelihood are sums of whitened rows by responsibility.

    dl/dmu_k = sum_n r_nk Sigma_k^-1 (x_n - mu_k),
    dl/dSigma_k = (1/2) sum_n r_nk (Sigma_k^-1 (x_n - mu_k)(x_n - mu_k)' - I) Sigma_k^-1

The gradient route has them in its free parameters: logits of the weights, means, and
the triangles of the precisions. The measured value is the largest gap to central
differences, relative to the largest gradient.

Source: CS280 homework 1, (1).
"""

from __future__ import annotations

import numpy as np

from ftml.claims.density._rows import K, random_rows
from ftml.evidence import Budget, Evidence
from ftml.families.density.gmm_gradient import loss_and_gradient

STEP = 1e-6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a gradient, at random parameters."""
    X = random_rows(seed)
    n_free = K + 2 * K + 3 * K
    theta = 0.3 * np.random.default_rng([seed, 1]).normal(size=n_free)
    _, (gradients,) = loss_and_gradient(theta[None], X, k=K, penalty=1e-2)
    moves = STEP * np.eye(n_free)
    up, down = (
        loss_and_gradient(theta + s * moves, X, k=K, penalty=1e-2)[0] for s in (1, -1)
    )
    away = np.abs(gradients - (up - down) / (2 * STEP)).max()
    return Evidence(
        expected=0.0, measured=float(away / np.abs(gradients).max()), tolerance=1e-7
    )
