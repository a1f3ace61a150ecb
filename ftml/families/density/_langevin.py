"""A step of a Markov chain whose stationary distribution is a density without its
normaliser: Langevin's dynamics with Metropolis's correction.

Axes: n chains, d columns.

Source: Deep learning cheat sheet, 17.1; Roberts and Tweedie 1996, "Exponential
convergence of Langevin distributions and their discrete approximations".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

if TYPE_CHECKING:
    from ftml.families.density._energy import Model


def langevin_step(
    model: Model,
    y: np.ndarray,
    root: np.ndarray,
    *,
    eps: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return y (n, d) after a step y + eps L^-1 grad e + sqrt(2 eps) N(0, L^-1)."""

    def drift(at: np.ndarray) -> np.ndarray:
        return at + eps * cho_solve((root, True), model.gradient_of_whitened(at).T).T

    def log_proposal(to: np.ndarray, origin: np.ndarray) -> np.ndarray:
        return -np.sum(((to - drift(origin)) @ root) ** 2, axis=1) / (4 * eps)

    z = solve_triangular(root, rng.normal(size=y.shape).T, lower=True, trans="T").T
    new = drift(y) + np.sqrt(2 * eps) * z
    gain = model.energy_of_whitened(new) - model.energy_of_whitened(y)
    gain += log_proposal(y, new) - log_proposal(new, y)
    kept = np.log(rng.random(len(y))) < gain
    return np.where(kept[:, None], new, y)
