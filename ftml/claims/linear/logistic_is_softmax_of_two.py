"""Softmax regression of two classes is logistic regression with twice the penalty.

    P(Y = 1 | x) = e^{z_1} / (e^{z_0} + e^{z_1}) = 1 / (1 + e^{-(z_1 - z_0)})

The penalised optimum has w_1 = -w_0 = w / 2, whence |W|^2 = |w|^2 / 2. The measured
value is the largest difference of the probabilities that the two families give the rows
of breast cancer. Both are solved to a gradient of 1e-9; the penalty of 0.01 bounds the
curvature from below, so that weights are right to 1e-7 and probabilities, whose scaled
rows are shorter than 100, to 1e-5.

Source: FTML lecture 9, "Softmax"; "Convex surrogates for classification".
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer

from ftml.claims._measures import farthest
from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear import logistic_regression, softmax_regression

ALPHA = 0.01


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest difference of probabilities."""
    X, y = load_breast_cancer(return_X_y=True)
    table = Table(X, y.astype(np.int64), classes=("malignant", "benign"))
    of_two = softmax_regression.Config(alpha=2 * ALPHA, tolerance=1e-9)
    of_one = logistic_regression.Config(alpha=ALPHA, tolerance=1e-9)
    one, other = (fit(each, table).model.predict_proba(X) for each in (of_one, of_two))
    return Evidence(
        expected=0.0, measured=farthest((one - other).ravel(), 0.0), tolerance=1e-5
    )
