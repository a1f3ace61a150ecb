"""For the squared loss the Bayes estimator is the conditional mean of the target.

    argmin_f E[(Y - f(X))^2] = E[Y | X]

On a finite distribution all functions of X are linear in the indicators of its values,
so that least squares on them searches them all. The measured value is the largest
distance of its predictions from the conditional means, over a distribution of 6 values
of X and 8 of Y with weights as integers, whose rows are repeated as often. They differ
only by rounding. The distribution is generated from the seed.

Source: FTML lecture 9, "Bayes estimator", (1).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ols import solve_ols


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance of a prediction from its conditional mean."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 10, size=(6, 8))
    values = rng.normal(size=8)
    x, y = (
        index.repeat(weights.ravel()) for index in np.indices((6, 8)).reshape(2, -1)
    )
    means = weights @ values / weights.sum(axis=1)
    X = np.eye(6)[x]
    predicted = solve_ols(X, values[y]).predict(np.eye(6))
    table = pd.DataFrame({"E[Y | X]": means, "least squares": predicted})
    return Evidence(
        expected=0.0,
        measured=farthest(predicted - means, 0.0),
        tolerance=1e-12,
        table=table.rename_axis("X").reset_index(),
    )
