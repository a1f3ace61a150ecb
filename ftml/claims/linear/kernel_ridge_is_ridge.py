"""Kernel ridge with the kernel x'x / d is ridge regression with d times the penalty.

    f = sum_i c_i K(., x_i) = w'x,   |f|_K^2 = d |w|^2

by the representer theorem: n dual numbers give the same predictions as d weights. The
family's polynomial kernel of degree 1 is x'x / d + 1; on centred columns and targets
its constant changes nothing. The measured value is the largest difference of
predictions on half of diabetes, in standard deviations: rounding.

Source: FTML lecture 9, "Learning representations / features" (kernel methods).
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_diabetes

from ftml.claims._measures import farthest
from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear import kernel_ridge, ridge

ALPHA = 1e-3


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest difference of the two families' predictions."""
    X, y = load_diabetes(return_X_y=True)
    d = X.shape[1]
    known = Table(X[::2], y[::2])
    primal = fit(ridge.Config(alpha=d * ALPHA), known).model.predict(X[1::2])
    config = kernel_ridge.Config(alpha=ALPHA, kernel="polynomial", degree=1)
    dual = fit(config, known).model.predict(X[1::2])
    return Evidence(
        expected=0.0,
        measured=farthest((primal - dual) / np.std(primal), 0.0),
        tolerance=1e-10,
    )
