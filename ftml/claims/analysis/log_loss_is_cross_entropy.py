"""The mean log loss is the entropy of the labels plus the divergence of the prediction.

    -(1/n) sum log q(y_i) = H(p, q) = H(p) + KL(p | q),   p the shares of the labels
    KL(p | q) >= 0, and 0 iff q = p;   KL(p | q) != KL(q | p)

so that the most likely distribution is that of the least cross-entropy, q = p. The
measured value is the largest distance of the log loss that the project reports from the
right side, over 20 random distributions q on 6 classes and q = p; NaN where a
divergence is not as stated. Only rounding is tolerated.

Source: Deep learning cheat sheet, "6 Information Theory" ("Relation to
Log-Likelihood").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy

from ftml.claims._measures import farthest
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.tasks.classification import evaluate


@dataclass(frozen=True)
class Constant:
    """A model that predicts one distribution for every row."""

    q: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return q for each row, (n, k)."""
        return np.tile(self.q, (len(X), 1))


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance of the log loss from H + KL."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(5, 40, size=6)
    p = counts / counts.sum()
    y = np.arange(6).repeat(counts)
    table = Table(np.zeros((len(y), 1)), y, classes=tuple("abcdef"))
    distributions = [*rng.dirichlet(np.ones(6), size=20), p]
    losses = [evaluate(Constant(q), table)["log_loss"] for q in distributions]
    there = np.array([rel_entr(p, q).sum() for q in distributions])
    back = np.array([rel_entr(q, p).sum() for q in distributions])
    sound = (there[:-1] > 0).all() and there[-1] == 0 and (there != back)[:-1].all()
    distance = farthest(losses - (entropy(p) + there), 0.0)
    return Evidence(
        expected=0.0,
        measured=distance if sound else float("nan"),
        tolerance=1e-12,
    )
