"""Under the new weights the last weak learner is as good as chance: 1/2 for 2 classes.

    P_{D_{t+1}}(f_t(x) != y) = (k - 1) / k

because alpha_t minimises the loss along f_t, where the derivative is zero. The measured
value is the weighted error of each round's learner under the next round's weights, on
breast cancer, for the round that is farthest from 1/2. The table has wine too, with
three classes and 2/3. They differ only by rounding.

Source: Homework 4 answers, "Problem 3" (D_t and the line search).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.ensemble._rounds import rounds, tables
from ftml.data import Table
from ftml.evidence import Budget, Evidence


def check(seed: int, budget: Budget) -> Evidence:
    """Return the error of the last learner under the new weights; NaN if wine fails."""
    errors = {name: reweighted_errors(t, seed) for name, t in tables().items()}
    chance = {"breast cancer": 1 / 2, "wine": 2 / 3}
    rows = [
        (name, len(each), chance[name], farthest(each, chance[name]))
        for name, each in errors.items()
    ]
    columns = ["table", "rounds", "chance", "error farthest from it"]
    table = pd.DataFrame(rows, columns=columns)
    wine = abs(farthest(errors["wine"], 2 / 3) - 2 / 3) < 1e-10
    measured = farthest(errors["breast cancer"], 1 / 2)
    return Evidence(
        expected=0.5,
        measured=measured if wine else float("nan"),
        tolerance=1e-10,
        table=table,
    )


def reweighted_errors(table: Table, seed: int) -> np.ndarray:
    """Return the error of each round's learner under the weights after it."""
    before, errors = np.zeros((len(table), len(table.classes))), []
    for step in rounds(table, seed=seed, count=12):
        scores = step.model.scores(table.X)
        wrong = (scores - before).argmax(axis=1) != table.y
        errors.append(step.state["D"] @ wrong)
        before = scores
    return np.array(errors)
