"""On every design there is a penalty with which ridge beats ordinary least squares.

On an orthonormal design, X'X / n = I, the best penalty is lambda = sigma^2 d / (n
|t|^2) for the truth t. Its excess risk, in that of least squares, is then

    |t|^2 / (|t|^2 + sigma^2 d / n)

All risks are exact: the fit is linear in y, so that its bias is the error of the fit of
X t, and its variance the sum over fits of the n unit vectors. The measured value is the
ratio of the least excess risk over 550 penalties to that of least squares. The grid is
3 % apart and the risk flat at its minimum: the tolerance is (3 %)^2. NaN where on one
of ten designs of correlated columns no penalty beats least squares: at lambda = 0 the
risk has the slope -(2 sigma^2 / n) tr(S^-1), S = X'X / n, on each. Designs and truths
are generated from the seed.

Source: FTML lecture 9, "Ridge regression" ("With a good choice of lambda").
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import ridge_path, solve_ridge
from ftml.plots import COLOURS, new_figure

N, D, SIGMA = 50, 8, 2.0
ALPHAS = np.logspace(-5, 2, 550)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the least excess risk over penalties, in that of least squares."""
    rng = np.random.default_rng(seed)
    X = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, D)))[0]
    truth = 0.3 * rng.normal(size=D)
    risk, least_squares = excess_risks(X, truth)
    correlated = []
    for _ in range(10):
        design = rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
        risks, of_least_squares = excess_risks(design, rng.normal(size=D))
        correlated.append(risks.min() / of_least_squares)
    size = truth @ truth
    table = pd.DataFrame(
        {
            "design": ["orthonormal", *(f"correlated {i}" for i in range(1, 11))],
            "least risk in that of least squares": [
                risk.min() / least_squares,
                *correlated,
            ],
        }
    )
    beaten = max(correlated) < 1
    return Evidence(
        expected=float(size / (size + SIGMA**2 * D / N)),
        measured=float(risk.min() / least_squares) if beaten else float("nan"),
        tolerance=0.03**2,
        table=table,
        figure=lambda: curve(risk, least_squares),
    )


def excess_risks(X: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the expected excess risk of each of ALPHAS, and of least squares."""

    def of_fits(paths: np.ndarray, units: np.ndarray) -> np.ndarray:
        bias = np.sum(((paths - truth) @ X.T) ** 2, axis=-1)
        return (bias + SIGMA**2 * np.sum((units @ X.T) ** 2, axis=(0, -1))) / N

    units = np.array([ridge_path(X, e, alphas=ALPHAS) for e in np.eye(N)])
    ridge = of_fits(ridge_path(X, X @ truth, alphas=ALPHAS), units)
    plain = np.array([solve_ridge(X, e, alpha=0.0) for e in np.eye(N)])
    return ridge, float(of_fits(solve_ridge(X, X @ truth, alpha=0.0), plain))


def curve(risk: np.ndarray, least_squares: float) -> Figure:
    """Plot the excess risk over penalties, and that of least squares."""
    figure, axes = new_figure()
    axes.plot(ALPHAS, risk, label="ridge")
    axes.axhline(least_squares, color=COLOURS[1], linestyle="--", label="least squares")
    axes.set(xscale="log", xlabel="penalty lambda", ylabel="excess risk")
    axes.legend()
    return figure
