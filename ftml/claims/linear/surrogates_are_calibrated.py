"""Minimising a convex surrogate gives the sign of the Bayes rule, loss by loss.

    min_z  p l(z) + (1 - p) l(-z):     logistic       z = log(p / (1 - p))
                                       squared hinge  z = 2 p - 1
                                       hinge          z = sign(2 p - 1)

for a label that is 1 with probability p and -1 else. The families' own losses are
minimised, for p = 0.02 to 0.98. The measured value is the largest distance of a
minimiser from its formula; it is found to 1e-6, as a minimum is where the loss changes
by the square of the distance. All three have the sign of 2 p - 1.

Source: FTML lecture 9, "Convex surrogates for classification" (calibration).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from scipy.special import logit

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.linear_svm import primal
from ftml.families.linear.logistic_regression import logistic_loss
from ftml.plots import new_figure

SHARES = np.delete(np.arange(1, 50) / 50, 24)
"p, without 1/2, where every z is as good for the hinge between -1 and 1."


def logistic(z: float) -> float:
    """Return the loss of a positive label at the score z."""
    return float(logistic_loss(np.ones(1))(np.full((1, 1, 1), z))[0][0])


def hinge(z: float) -> float:
    """Return the loss of a positive label at the score z."""
    return primal(np.array([z]), np.ones((1, 1)), alpha=0.0, surrogate="hinge")


def squared_hinge(z: float) -> float:
    """Return the loss of a positive label at the score z."""
    return primal(np.array([z]), np.ones((1, 1)), alpha=0.0, surrogate="squared_hinge")


FORMULAS: dict[str, tuple[Callable[[float], float], np.ndarray]] = {
    "logistic": (logistic, logit(SHARES)),
    "squared hinge": (squared_hinge, 2 * SHARES - 1),
    "hinge": (hinge, np.sign(2 * SHARES - 1)),
}


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance of a minimiser from its formula."""
    found = {
        name: np.array([minimiser(loss, p) for p in SHARES])
        for name, (loss, _) in FORMULAS.items()
    }
    table = pd.DataFrame(
        [
            (
                name,
                farthest(z - FORMULAS[name][1], 0.0),
                float(np.mean(np.sign(z) == np.sign(2 * SHARES - 1))),
            )
            for name, z in found.items()
        ],
        columns=["surrogate", "largest distance", "fraction of right signs"],
    )
    return Evidence(
        expected=0.0,
        measured=farthest(table["largest distance"], 0.0),
        tolerance=1e-6,
        table=table,
        figure=lambda: minimisers(found),
    )


def minimiser(loss: Callable[[float], float], p: float) -> float:
    """Return the z of the least expected loss."""
    found = minimize_scalar(
        lambda z: p * loss(z) + (1 - p) * loss(-z),
        bounds=(-8, 8),
        method="bounded",
        options={"xatol": 1e-9, "maxiter": 200},
    )
    return float(found.x)


def minimisers(found: dict[str, np.ndarray]) -> Figure:
    """Plot the minimiser of each surrogate over p."""
    figure, axes = new_figure()
    for name, z in found.items():
        axes.plot(SHARES, z, ".-", markersize=4, label=name)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel="probability of the label 1", ylabel="score of least expected loss")
    axes.legend()
    return figure
