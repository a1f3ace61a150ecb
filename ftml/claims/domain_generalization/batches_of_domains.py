"""A batch of B rows of every domain is unbiased for its mean, with a variance as 1/B.

    E[mean of the batch] = L_ERM,   Var = (1 / S^2) sum_s v_s / B

with v_s the variance in domain s: rows are sampled with replacement. Domains have 5, 50
and 500 rows, and losses generated from the seed. The measured value is the mean square
of a batch's distance from L_ERM, in that variance, over 4000 batches of B = 16, as the
families sample them; it is compared within its standard errors. A bias would add its
square.

Source: Exam solutions, "Domain generalization (2023)", "Classical approach"; Deep
learning cheat sheet, 14.9 (mini-batches).
"""

from __future__ import annotations

import numpy as np
import torch

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.domain_generalization._training import draw_batches

SIZES, B = (5, 50, 500), 16


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean square of a batch's distance from L_ERM, in its variance."""
    rng = np.random.default_rng(seed)
    parts = [rng.gamma(s + 1.0, size=n) for s, n in enumerate(SIZES)]
    losses = np.concatenate(parts)
    risk = np.mean([part.mean() for part in parts])
    variance = sum(part.var() for part in parts) / (len(SIZES) ** 2 * B)
    offsets = np.cumsum((0, *SIZES))

    def squares(rng: np.random.Generator, draws: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        rows = draw_batches(offsets, batch_size=B, n_batches=draws, generator=generator)
        means = losses[rows.numpy()].mean(axis=1)  # all weigh 1 / (S B)
        return (means - risk) ** 2 / variance

    return evidence_of_mean(budget.draw(squares, seed=seed, n=4000), expected=1.0)
