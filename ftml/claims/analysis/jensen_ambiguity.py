"""The error of an averaged predictor is the mean error less the members' variance.

    (f(x) - y)^2 averaged over members = (fbar(x) - y)^2 + variance of the members at x

which is Jensen's inequality for the square, with what it leaves out. The measured value
is the ratio of the two sides for 20 ridge regressions on bootstrap samples of diabetes,
by the errors that the project reports. Only rounding is tolerated. The samples are
generated from the seed.

Source: Deep learning cheat sheet, "2 Analysis" (Jensen); Krogh and Vedelsby 1995,
"Neural network ensembles, cross validation, and active learning".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import Config
from ftml.tasks.regression import evaluate

MEMBERS = 20


@dataclass(frozen=True)
class Given:
    """A model whose predictions are known."""

    predicted: np.ndarray

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predictions, (n,)."""
        return self.predicted


def check(seed: int, budget: Budget) -> Evidence:
    """Return the ratio of the members' mean error to the error of their mean plus their
    variance.
    """
    rng = np.random.default_rng(seed)
    table = Table(*load_diabetes(return_X_y=True))
    n = len(table)
    members = np.array(
        [
            fit(Config(), table.rows(rng.integers(n, size=n))).model.predict(table.X)
            for _ in range(MEMBERS)
        ]
    )
    of_each = [evaluate(Given(each), table)["mse"] for each in members]
    of_mean = evaluate(Given(members.mean(axis=0)), table)["mse"]
    spread = float(members.var(axis=0).mean())
    return Evidence(
        expected=1.0,
        measured=float(np.mean(of_each) / (of_mean + spread)),
        tolerance=1e-12,
        table=pd.DataFrame(
            {
                "quantity": ["members' mean error", "error of the mean", "spread"],
                "value": [float(np.mean(of_each)), of_mean, spread],
            }
        ),
    )
