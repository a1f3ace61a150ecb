"""The hidden units of a restricted Boltzmann machine sum out to its free energy.

    p(x) = sum_h exp(a'x + b'h + x'W h) / Z = exp(-F(x)) / Z,
    F(x) = -a'x - sum_j log(1 + exp(b_j + W_j'x))

The measured value is the largest gap of log p(x) over all 2^6 rows of six columns, to
the sum over the 2^4 states of four hidden units written out; Z is the sum over both.

Source: Deep learning cheat sheet, section 17.4.3, dimensionality reduction.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from ftml.claims.density._states import states
from ftml.evidence import Budget, Evidence
from ftml.families.density.rbm import Model

D, HIDDEN = 6, 4


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a log-probability."""
    rng = np.random.default_rng(seed)
    W, a, b = rng.normal(size=(D, HIDDEN)), rng.normal(size=D), rng.normal(size=HIDDEN)
    x, h = states(D), states(HIDDEN)
    joint = (x @ a)[:, None] + h @ b + x @ W @ h.T
    expected = logsumexp(joint, axis=1) - logsumexp(joint)
    found = Model(W, a, b, np.zeros(D)).log_density(x)
    return Evidence(
        expected=0.0, measured=float(np.abs(found - expected).max()), tolerance=1e-12
    )
