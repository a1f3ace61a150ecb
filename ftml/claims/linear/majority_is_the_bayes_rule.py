"""For the 0-1 loss the best rule takes the most probable class at every point.

    argmax_f P(Y = f(X)) = (x -> argmax_z P(Y = z | X = x))

All 81 rules from 4 points to 3 classes are tried on a finite distribution, each scored
by the project's accuracy on a table whose rows are the distribution. The measured value
is the distance of the best accuracy from sum_x max_z P(x, z); NaN where the best rule
is not the most probable class. Only rounding is tolerated. The distribution is
generated from the seed.

Source: FTML lecture 9, "Bayes estimator", (2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.tasks.classification import evaluate


@dataclass(frozen=True)
class Rule:
    """A class for each of the points 0, 1, ..."""

    classes: tuple[int, ...]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return certainty of the point's class, (n, 3)."""
        return np.eye(3)[np.array(self.classes)[X[:, 0].astype(int)]]


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance of the best accuracy from that of the Bayes rule."""
    rng = np.random.default_rng(seed)
    # Other weights for each pair, so that no two classes are as probable.
    weights = rng.permutation(np.arange(1, 13)).reshape(4, 3)
    x, y = (
        index.repeat(weights.ravel()) for index in np.indices((4, 3)).reshape(2, -1)
    )
    table = Table(x[:, None].astype(float), y, classes=("a", "b", "c"))
    rules = list(product(range(3), repeat=4))
    scores = [evaluate(Rule(rule), table)["accuracy"] for rule in rules]
    best = rules[int(np.argmax(scores))]
    is_bayes = best == tuple(weights.argmax(axis=1).tolist())
    bayes = weights.max(axis=1).sum() / weights.sum()
    return Evidence(
        expected=float(bayes),
        measured=max(scores) if is_bayes else float("nan"),
        tolerance=1e-12,
    )
