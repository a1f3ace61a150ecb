"""Inputs a times as large need a penalty a squared times as large for the same fit.

    x -> a x,   lambda -> a^2 lambda:   theta -> theta / a, and no prediction changes

so that one penalty for inputs of several units is not consistent. The measured value is
the largest difference of predictions on the diabetes table, raw columns, a = 0.01 to
100, relative to their spread: rounding. The table has what the same lambda would give.

Source: Exam solutions, "Exercise (2022)", (2.1) and (2.2).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from ftml.claims._measures import farthest
from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import Config

ALPHA = 1e-3


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest difference of predictions after rescaling."""
    X, y = load_diabetes(return_X_y=True)
    before = predictions(X, y, alpha=ALPHA)
    rows = [
        (
            a,
            difference(predictions(a * X, y, alpha=a**2 * ALPHA), before),
            difference(predictions(a * X, y, alpha=ALPHA), before),
        )
        for a in (0.01, 0.1, 10.0, 100.0)
    ]
    columns = ["a", "with a^2 lambda", "with lambda"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=0.0,
        measured=farthest(table["with a^2 lambda"], 0.0),
        tolerance=1e-10,
        table=table,
    )


def predictions(X: np.ndarray, y: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return what ridge on raw columns predicts for its training rows, (n,)."""
    model = fit(Config(alpha=alpha, standardize=False), Table(X, y)).model
    predicted: np.ndarray = model.predict(X)
    return predicted


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference over the standard deviation of `other`."""
    return float(np.abs(one - other).max() / other.std())
