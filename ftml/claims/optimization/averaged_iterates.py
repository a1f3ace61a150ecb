"""The mean of SGD's iterates has a variance of 1/t, whatever the constant step.

    E[(mean of theta_1..theta_t)^2] -> sigma^2 / (h^2 t)

for R = (h/2) theta^2 and gradients with noise of variance sigma^2: no average of t
samples could do better. The iterates themselves stay in a ball of variance eta sigma^2
/ (h (2 - eta h)). The measured value is the mean square of ftml.optim's running mean
after 1000 steps, over 4000 runs, in its exact expectation, which is the limit but for 2
%; it is compared within its standard errors.

Source: Deep learning cheat sheet, 14.9 ("iterate (Polyak) averaging"); Polyak and
Juditsky 1992, "Acceleration of stochastic approximation by averaging".
"""

from __future__ import annotations

import numpy as np
import torch

from ftml.core import State
from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.optim.constraints import update_mean
from ftml.optim.optimizers import sgd

STEPS, ETA, H = 1000, 0.2, 0.5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean square of the averaged iterate, in its expectation."""

    def squares(rng: np.random.Generator, runs: int) -> np.ndarray:
        theta = [torch.zeros(runs, dtype=torch.float64)]
        mean = [torch.zeros(runs, dtype=torch.float64)]
        descend, moments = sgd(learning_rate=ETA), State()
        for t in range(1, STEPS + 1):
            noise = torch.from_numpy(rng.normal(size=runs))
            descend(theta, [H * theta[0] + noise], moments)
            update_mean(mean, theta, t=t)
        return mean[0].numpy() ** 2 / expectation()

    return evidence_of_mean(budget.draw(squares, seed=seed, n=4000), expected=1.0)


def expectation() -> float:
    """Return E[mean^2] from theta_0 = 0.

    The noise of step s is in the iterates s to t, with eta (1 - eta h)^(j - s).
    """
    left = np.arange(1, STEPS + 1)
    weights = (1 - (1 - ETA * H) ** left) / (H * STEPS)
    return float(np.sum(weights**2))
