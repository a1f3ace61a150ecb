"""Shared parts of two-class families: labels and a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ftml.data import Table
from ftml.data.checks import check_rows


@dataclass(frozen=True)
class Model:
    """A linear classifier: the second class if the linear function is positive."""

    theta: np.ndarray
    "(d + 1,): coefficients, intercept last"

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return X theta + b, (n,), for X (n, d)."""
        check_rows(X, len(self.theta) - 1)
        return X @ self.theta[:-1] + self.theta[-1]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of both classes, (n, 2): 1 / (1 + exp(-+ score))."""
        score = self.decision_function(X)
        return np.column_stack([expit(-score), expit(score)])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the more probable class, (n,)."""
        return (self.decision_function(X) > 0).astype(np.int64)


def signs(table: Table) -> np.ndarray:
    """Return y as -1 and 1, (n,) float64.

    Raises ValueError unless the table has two classes.
    """
    if len(table.classes) != 2:
        raise ValueError(
            f"expected 2 classes, the data has {len(table.classes)}; "
            "one_vs_rest and one_vs_one make a family of two classes one of many"
        )
    return 2.0 * table.y - 1.0
