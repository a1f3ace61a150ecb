"""For the absolute loss the Bayes estimator is the median, for pinball a quantile.

    argmin_z E|Y - z|                       a median: the exercise that the notes leave
    argmin_z E[(tau - 1{Y < z}) (Y - z)]    a tau-quantile

The distribution of Y has 31 values with random weights. A risk is convex in z and
linear between two values, so that one of them is a minimiser: the risk, scikit-learn's,
is evaluated at each. The measured value is the largest distance of the minimisers from
the quantiles of the weighted values, for tau = 0.1 to 0.9; they are the same values,
bit for bit. The distribution is generated from the seed; two risks are equal with
probability 0.

Source: FTML lecture 9, "Bayes estimator" ("Regression with absolute loss").
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.plots import COLOURS, new_figure

TAUS = (0.1, 0.25, 0.5, 0.75, 0.9)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest distance of a minimiser from its quantile."""
    rng = np.random.default_rng(seed)
    values, weights = np.sort(rng.gamma(2.0, size=31)), rng.dirichlet(np.ones(31))
    risks = np.array([pinball_risks(values, weights, tau) for tau in TAUS])
    absolute = [
        mean_absolute_error(values, np.full(31, z), sample_weight=weights)
        for z in values
    ]
    found = values[[*risks.argmin(axis=1), np.argmin(absolute)]]
    below = np.cumsum(weights)
    expected = values[np.searchsorted(below, [*TAUS, 0.5])]
    names = [*(f"pinball, tau = {tau}" for tau in TAUS), "absolute"]
    return Evidence(
        expected=0.0,
        measured=farthest(found - expected, 0.0),
        tolerance=0.0,
        table=pd.DataFrame({"loss": names, "minimiser": found, "quantile": expected}),
        figure=lambda: curves(values, risks, found),
    )


def pinball_risks(values: np.ndarray, weights: np.ndarray, tau: float) -> np.ndarray:
    """Return the expected pinball loss of predicting each value, (n,)."""
    ones = np.ones(len(values))
    losses = [
        mean_pinball_loss(values, z * ones, sample_weight=weights, alpha=tau)
        for z in values
    ]
    return np.array(losses)


def curves(values: np.ndarray, risks: np.ndarray, found: np.ndarray) -> Figure:
    """Plot the risk of each tau over the prediction, and where it is least."""
    figure, axes = new_figure()
    for tau, risk, best, colour in zip(TAUS, risks, found, COLOURS, strict=False):
        axes.plot(values, risk, color=colour, label=f"tau = {tau}")
        axes.plot(best, risk.min(), "o", color=colour)
    axes.set(xlabel="prediction z", ylabel="expected pinball loss")
    figure.legend(loc="outside right upper", frameon=False)
    return figure
