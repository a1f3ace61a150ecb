"""A weak learner's weight minimises the loss along it: SAMME's times (k - 1) / k.

    argmin_alpha eps e^{alpha/(k-1)} + (1 - eps) e^{-alpha}
        = ((k-1)/k) log((1 - eps) (k - 1) / eps),   positive iff eps < (k-1)/k

scikit-learn's weights are k/(k-1) times as large, with the same learners. The measured
value is the ratio of the family's weights to scikit-learn's on wine, three classes, 15
stumps, for the round that is farthest from 2/3; only rounding is tolerated. NaN where a
weight is 1e-6 off the minimiser that is found numerically (the table).

Source: Homework 4 answers, "Problem 3" (the line search); Zhu et al. 2009, "Multi-class
AdaBoost".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from ftml.claims._measures import farthest
from ftml.claims.ensemble._rounds import rounds, tables
from ftml.evidence import Budget, Evidence


def check(seed: int, budget: Budget) -> Evidence:
    """Return our weights over scikit-learn's; NaN where one is no minimiser."""
    table = tables()["wine"]
    k = len(table.classes)
    steps = rounds(table, seed=seed, count=15)
    theirs = AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=1), n_estimators=15, random_state=seed
    ).fit(table.X, table.y)
    rows = pd.DataFrame(
        {
            "round": range(1, 16),
            "weighted error": [s.metrics["train_weighted_error"] for s in steps],
            "alpha": steps[-1].model.alpha,
            "scikit-learn's": theirs.estimator_weights_,
        }
    )
    rows["minimiser"] = [minimiser(eps, k) for eps in rows["weighted error"]]
    minimal = np.allclose(rows["alpha"], rows["minimiser"], atol=1e-6)
    ratio = rows["alpha"] / rows["scikit-learn's"]
    return Evidence(
        expected=(k - 1) / k,
        measured=farthest(ratio, (k - 1) / k) if minimal else float("nan"),
        tolerance=1e-10,
        table=rows,
    )


def minimiser(eps: float, k: int) -> float:
    """Return the alpha of the least loss after a learner of weighted error eps."""
    found = minimize_scalar(
        lambda a: eps * np.exp(a / (k - 1)) + (1 - eps) * np.exp(-a),
        bounds=(0, 10),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x)
