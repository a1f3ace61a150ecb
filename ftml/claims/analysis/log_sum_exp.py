"""The log loss is right for scores of any size, where sums of exponentials overflow.

    log sum_k e^{z_k} = m + log sum_k e^{z_k - m},   m = max z

The measured value is the largest relative error of the project's losses of logistic and
softmax regression, for scores up to +-1000, from decimals of fifty digits; 1e-14 is
some fifty roundings. (Below 0.01 the loss of softmax is right to 2e-16 and no more:
there it is a difference of numbers near 1, and left out.) e^{z} overflows from z = 710
on: computed without the maximum the loss is infinite there (the table).

Source: Deep learning cheat sheet, "7 NN Functions and their Derivatives" (Softmax); 6
("Cross-Entropy").
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.logistic_regression import logistic_loss
from ftml.families.linear.softmax_regression import softmax_loss

MARGINS = (-1000.0, -710.0, -40.0, -1.0, 0.0, 1.0, 30.0, 700.0)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative error of a loss."""
    rows = []
    for z in MARGINS:
        true = exact(z)
        logistic = logistic_loss(np.ones(1))(np.full((1, 1, 1), z))[0][0]
        scores = np.array([[0.0], [z]]) + 300.0  # a shift changes nothing
        softmax = softmax_loss(np.ones(1, np.int64))(scores[None])[0][0]
        with np.errstate(over="ignore"):
            naive = np.log1p(np.exp(-z))
        found = (logistic, softmax, naive)
        rows.append(
            (z, float(true), *(float(each) / float(true) - 1 for each in found))
        )
    columns = ["margin", "loss", "logistic", "softmax", "without the maximum"]
    table = pd.DataFrame(rows, columns=columns)
    large = table["loss"] > 1e-2
    errors = [*table["logistic"], *table["softmax"][large]]
    return Evidence(
        expected=0.0, measured=farthest(errors, 0.0), tolerance=1e-14, table=table
    )


def exact(z: float) -> Decimal:
    """Return log(1 + e^-z) to fifty digits."""
    with localcontext() as context:
        context.prec = 400  # of 1 + e^-700, fifty digits beyond the 304th
        return (1 + (-Decimal(z)).exp()).ln()
