"""The Jensen-Shannon divergence is at most log 2, however many outcomes there are.

    JSD(P, Q) = KL(P | M) / 2 + KL(Q | M) / 2,   M = (P + Q) / 2,   in [0, log 2]

with log 2 where P and Q share no outcome, 0 where they are equal. The measured value is
the largest JSD over 2000 random pairs of distributions on n = 5 outcomes, pairs without
a common outcome among them; scipy's relative entropy is summed. The notes ask for log n
(mistake 21), which is 1.61 and which nothing reaches. No code of the project is in it;
its GAN attains the same bound.

Source: Deep learning cheat sheet, "6 Information Theory".
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.special import rel_entr

from ftml.evidence import Budget, Evidence
from ftml.plots import COLOURS, new_figure

MISTAKES = (21,)
OUTCOMES = 5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest divergence; NaN if one is negative or not symmetric."""
    rng = np.random.default_rng(seed)
    P, Q = rng.dirichlet(np.full(OUTCOMES, 0.3), size=(2, 1990))
    apart = rng.dirichlet(np.ones(OUTCOMES), size=10)
    left = np.arange(OUTCOMES) < 2
    P = np.vstack([P, normalised(np.where(left, apart, 0.0))])
    Q = np.vstack([Q, normalised(np.where(left, 0.0, apart))])
    found = divergence(P, Q)
    sound = (found >= 0).all() and np.allclose(found, divergence(Q, P), atol=1e-14)
    return Evidence(
        expected=float(np.log(2)),
        measured=float(found.max()) if sound else float("nan"),
        tolerance=1e-12,
        value_in_source=float(np.log(OUTCOMES)),
        figure=lambda: histogram(found),
    )


def normalised(weights: np.ndarray) -> np.ndarray:
    """Return each row over its sum."""
    return weights / weights.sum(axis=1, keepdims=True)


def divergence(P: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return JSD of each pair of rows, (m,), in nats."""
    M = (P + Q) / 2
    return (rel_entr(P, M).sum(axis=1) + rel_entr(Q, M).sum(axis=1)) / 2


def histogram(found: np.ndarray) -> Figure:
    """Plot the divergences of the random pairs, and both bounds."""
    figure, axes = new_figure()
    axes.hist(found, bins=40, color=COLOURS[5])
    axes.axvline(np.log(2), color=COLOURS[0], label="log 2")
    axes.axvline(
        np.log(OUTCOMES), color=COLOURS[1], linestyle="--", label="log n in the notes"
    )
    axes.set(xlabel="Jensen-Shannon divergence, nats", ylabel="pairs of distributions")
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return figure
