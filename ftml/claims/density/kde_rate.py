"""The error of a kernel density falls as n^(-4/(4+d)): as n^(-0.8) in one dimension.

    E int (p_n - p)^2 dx ~ n^(-4/5)  at a bandwidth ~ n^(-1/5)

The notes have a rate of log log n (mistake 42). p is the standard normal distribution,
the bandwidth 1.06 n^(-1/5); the integrated squared error is averaged over samples of n
= 100 to 25,600. The measured value is the slope of its logarithm over that of n. By the
exact error (Marron and Wand 1992, for Gaussians) it is 0.055 above -0.8 at these n;
chance adds 5.5 standard errors to the tolerance, a probability of 4e-8.

Source: Deep learning cheat sheet, section 17.1, kernel density estimator.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import norm

from ftml.evidence import CHANCE, STANDARD_ERRORS, Budget, Evidence
from ftml.families.density import kde
from ftml.plots import COLOURS, new_figure

MISTAKES = (42,)

SIZES = 100 * 4 ** np.arange(5)
GRID = np.linspace(-4.5, 4.5, 46)[:, None]
FINITE = 0.06
"How far the exact slope is from its limit, rounded up."


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the error, and that of 1 / log log n."""
    draws = budget.draw(errors, seed=seed, n=40)
    log_n, means = np.log(SIZES), draws.mean(axis=0)
    slope = np.polyfit(log_n, np.log(means), 1)[0]
    # The slope is a sum of the logarithms, weighed so:
    weights = (log_n - log_n.mean()) / np.sum((log_n - log_n.mean()) ** 2)
    relative = draws.std(axis=0, ddof=1) / means
    error = float(np.linalg.norm(weights * relative) / np.sqrt(len(draws)))
    printed = np.polyfit(log_n, -np.log(np.log(log_n)), 1)[0]
    table = pd.DataFrame({"n": SIZES, "mean integrated error": means})
    return Evidence(
        expected=-0.8,
        measured=float(slope),
        tolerance=FINITE + STANDARD_ERRORS * error,
        value_in_source=float(printed),
        standard_error=error,
        chance=CHANCE,
        table=table,
        figure=lambda: rate(table),
    )


def errors(rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return the integrated squared error for each size, (draws, sizes)."""
    return np.array([[error(rng, int(n)) for n in SIZES] for _ in range(draws)])


def error(rng: np.random.Generator, n: int) -> float:
    """Return the integrated squared error of a density from n random rows."""
    model = kde.Model(rng.normal(size=(n, 1)), np.array([1.06 * n**-0.2]))
    away = np.exp(model.log_density(GRID)) - norm.pdf(GRID[:, 0])
    return float(np.sum(away**2) * (GRID[1, 0] - GRID[0, 0]))


def rate(table: pd.DataFrame) -> Figure:
    """Plot the mean error over n, and both rates through its first point."""
    n, found = table["n"].to_numpy(float), table["mean integrated error"].to_numpy()
    figure, axes = new_figure()
    axes.plot(n, found, marker="o", label="mean of the samples")
    axes.plot(
        n, found[0] * (n / n[0]) ** -0.8, "--", color=COLOURS[1], label="n^(-4/5)"
    )
    slow = np.log(np.log(n[0])) / np.log(np.log(n))
    axes.plot(
        n, found[0] * slow, ":", color="black", label="1 / log log n in the notes"
    )
    axes.set(xscale="log", yscale="log", xlabel="rows n")
    axes.set(ylabel="mean integrated squared error")
    axes.legend()
    return figure
