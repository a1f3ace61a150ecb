"""A Gaussian prior N(0, sigma^2 I) is a penalty |w|^2 / (2 sigma^2) on the weights.

    -ln p(w) = |w|^2 / (2 sigma^2) + (d / 2) ln(2 pi sigma^2)

The notes have sigma^2 / 2 for the factor and leave sigma out of the constant (mistake
5): a wide prior would then pull harder than a narrow one. The measured value is the
penalty, in nats, of the 60 weights of a random layer at sigma = 0.5, the expected value
minus their log-density by scipy.

Source: Exam solutions, "Exercise (2022)", (1.1).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import norm

from ftml.evidence import Budget, Evidence
from ftml.nn.penalties import gaussian_prior

MISTAKES = (5,)

SIGMA = 0.5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the penalty beside minus the log-density, and the value in the source."""
    w = np.random.default_rng(seed).normal(size=(6, 10))
    printed = SIGMA**2 / 2 * np.sum(w**2) + w.size / 2 * math.log(2 * math.pi)
    return Evidence(
        expected=float(-norm.logpdf(w, scale=SIGMA).sum()),
        measured=float(gaussian_prior([torch.from_numpy(w)], [SIGMA])),
        tolerance=1e-10,
        value_in_source=float(printed),
    )
