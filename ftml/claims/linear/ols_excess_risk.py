"""The excess risk of least squares on a fixed design is sigma^2 (d + 1) / n.

    E[(1/n) |A theta_hat - A theta|^2] = sigma^2 (d + 1) / n,   y = A theta + noise

A = [X 1] has d + 1 columns with the intercept, which the notes do not count: d / n is
meant for a design that holds it. The design is the diabetes table, 442 x 10, the noise
normal with sigma = 2. Each sample is the excess risk of one fit; their mean is compared
within its standard errors.

Source: FTML lecture 9, "Ordinary least squares", excess risk.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.linear.ols import solve_ols
from ftml.plots import COLOURS, new_figure

SIGMA = 2.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean excess risk of 400 fits or more beside its formula."""
    X = load_diabetes().data
    n, d = X.shape
    truth = X @ np.arange(1.0, d + 1) + 3.0

    def excess_risks(rng: np.random.Generator, draws: int) -> np.ndarray:
        noise = SIGMA * rng.normal(size=(draws, n))
        fitted = [solve_ols(X, truth + e).predict(X) for e in noise]
        return np.mean((np.asarray(fitted) - truth) ** 2, axis=1)

    draws = budget.draw(excess_risks, seed=seed, n=400)
    expected = SIGMA**2 * (d + 1) / n
    return evidence_of_mean(
        draws, expected=expected, figure=lambda: histogram(draws, expected)
    )


def histogram(draws: np.ndarray, expected: float) -> Figure:
    """Plot the excess risks, their mean and what theory expects."""
    figure, axes = new_figure()
    axes.hist(draws, bins=40, color=COLOURS[5])
    axes.axvline(draws.mean(), color=COLOURS[0], label="mean of the fits")
    axes.axvline(expected, color=COLOURS[1], linestyle="--", label="sigma² (d + 1) / n")
    axes.set(xlabel="excess risk of a fit", ylabel="fits")
    axes.legend()
    return figure
