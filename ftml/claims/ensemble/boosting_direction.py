"""Along a learner, boosting's loss falls by its hits and rises by its errors.

    d/dalpha L(g + alpha f) at 0 = Z E_D[(1/(k-1)) 1{f(x) != y} - 1{f(x) = y}]
                                 = Z ((k/(k-1)) P_D(f(x) != y) - 1)

so that the best learner is the argmin over f of its weighted error. The measured value
is the ratio of the derivative, by central differences of 1e-4 through the model's
scores, to Z E_D[...] with the family's weights D, of whichever of 15 rounds on wine
lies farthest from 1; the differences err by 1e-8. The notes print -1{f(x) != y} for the
hits and minimise over alpha (mistake 15).

Source: Homework 4 answers, "Problem 3".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.ensemble._rounds import exponents, rounds, tables
from ftml.evidence import Budget, Evidence

MISTAKES = (15,)
STEP = 1e-4


def check(seed: int, budget: Budget) -> Evidence:
    """Return derivative over formula, and over the printed formula."""
    table = tables()["wine"]
    y, k = table.y, len(table.classes)
    found, before = [], np.zeros((len(y), k))
    weights = np.full(len(y), 1.0 / len(y))
    for step in rounds(table, seed=seed, count=15):
        after = step.model.scores(table.X)
        learner = (after - before) / step.model.alpha[-1]
        wrong = learner.argmax(axis=1) != y
        up, down = (
            np.exp(exponents(before + sign * STEP * learner, y)).sum()
            for sign in (1, -1)
        )
        Z = np.exp(exponents(before, y)).sum()
        slope = (up - down) / (2 * STEP)
        bracket = weights @ (wrong / (k - 1) - ~wrong)
        printed = weights @ (wrong / (k - 1) - wrong)
        found.append((step.n, slope / (Z * bracket), slope / (Z * printed)))
        before, weights = after, step.state["D"]
    rows = pd.DataFrame(found, columns=["round", "ratio", "ratio in the notes"])
    return Evidence(
        expected=1.0,
        measured=farthest(rows["ratio"], 1.0),
        tolerance=1e-6,
        value_in_source=float(rows["ratio in the notes"].min()),
        table=rows,
    )
