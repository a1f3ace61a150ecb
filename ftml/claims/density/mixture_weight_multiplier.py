"""The gradient of a mixture in a weight pi_k is sum_n r_nk / pi_k, N at the optimum.

    dl/dpi_k = sum_n N(x_n; mu_k, Sigma_k) / p(x_n) = sum_n r_nk / pi_k = lambda = N

The notes lose the division by pi_k, and find N / K for the multiplier (mistake 16). A
mixture of three Gaussians is trained by EM to its end. The measured value is the
central difference of the log-likelihood in a weight, the others held, over N: its value
farthest from 1; the value in the source would be 1 / 3.

Source: CS280 homework 1, (2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ftml.claims.density._rows import K, random_rows
from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.density import gmm

MISTAKES = (16,)

STEP = 1e-6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the multiplier over N, and the value in the source."""
    X = random_rows(seed)
    config = gmm.Config(
        seed=seed, n_components=K, n_init=1, n_iterations=2000, tolerance=1e-13
    )
    model = fit(config, Table(X)).model
    gradients = np.array([gradient(model, X, k) for k in range(K)]) / len(X)
    return Evidence(
        expected=1.0,
        measured=float(gradients[np.abs(gradients - 1).argmax()]),
        tolerance=1e-4,
        value_in_source=1 / K,
    )


def gradient(model: gmm.Model, X: np.ndarray, k: int) -> float:
    """Return the central difference of the log-likelihood in pi_k."""
    up, down = (model.weights + s * STEP * np.eye(K)[k] for s in (1, -1))
    values = [replace(model, weights=w).log_density(X).sum() for w in (up, down)]
    return float((values[0] - values[1]) / (2 * STEP))
