"""A Boltzmann machine's gradient compares the data with samples of the model.

    d log p / dW = E_rows[x h(x)'] - E_p[x h(x)'],   h(x) = sigmoid(b + W'x)

The second part is that of -log Z. The model's rows are all rows of five columns, each
as often as its probability says, so that nothing is left to chance. The measured value
is the largest gap of the family's gradient to central differences of the mean
log-probability.

Source: Deep learning cheat sheet, section 19.1, positive and negative phase.
"""

from __future__ import annotations

import numpy as np

from ftml.claims.density._states import states
from ftml.evidence import Budget, Evidence
from ftml.families.density.rbm import Model, gradients

D, HIDDEN, STEP = 5, 3, 1e-6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a gradient in W."""
    rng = np.random.default_rng(seed)
    W, a, b = rng.normal(size=(D, HIDDEN)), rng.normal(size=D), rng.normal(size=HIDDEN)
    every = states(D)
    rows = every[rng.integers(len(every), size=20)]

    def value(weights: np.ndarray) -> float:
        return float(Model(weights, a, b, np.zeros(D)).log_density(rows).mean())

    chances = np.exp(Model(W, a, b, np.zeros(D)).log_density(every))
    # One row of the model at a time: their mean by probability is the model's.
    parts = [gradients(rows, each[None], W, b)[0] for each in every]
    found = np.einsum("s,sdh->dh", chances, np.array(parts))
    expected = np.empty_like(W)
    for place in np.ndindex(*W.shape):
        move = np.zeros_like(W)
        move[place] = STEP
        expected[place] = (value(W + move) - value(W - move)) / (2 * STEP)
    return Evidence(
        expected=0.0, measured=float(np.abs(found - expected).max()), tolerance=1e-8
    )
