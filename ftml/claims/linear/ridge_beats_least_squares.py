"""On every design there is a penalty with which ridge beats ordinary least squares.

On an orthonormal design, X'X / n = I, the best penalty is lambda = sigma^2 d / (n
|t|^2) for the truth t. Its excess risk, in that of least squares, is then

    |t|^2 / (|t|^2 + sigma^2 d / n)

Both risks are exact: the fit is linear in y, so that its bias is the error of the fit
of X t, and its variance the sum over fits of the n unit vectors. What is measured is
the ratio of the least excess risk over 400 penalties to that of least squares. The grid
is 3 % apart and the risk flat at its minimum: the tolerance is (3 %)^2.

Source: 001_21b9d05290248f61.txt, "Ridge regression" ("With a good choice of lambda").
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import ridge_path, solve_ridge
from ftml.plots import COLOURS, new_figure

N, D, SIGMA = 50, 8, 2.0
ALPHAS = np.logspace(-3, 2, 400)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the least excess risk over penalties, in that of least squares."""
    rng = np.random.default_rng(seed)
    X = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, D)))[0]
    truth = 0.3 * rng.normal(size=D)
    bias = ridge_path(X, X @ truth, alphas=ALPHAS) - truth
    units = np.array([ridge_path(X, e, alphas=ALPHAS) for e in np.eye(N)])
    risk = np.sum(bias**2, axis=1) + SIGMA**2 * np.sum(units**2, axis=(0, 2))
    least_squares = SIGMA**2 * sum(
        float(np.sum(solve_ridge(X, e, alpha=0.0) ** 2)) for e in np.eye(N)
    )
    size = truth @ truth
    table = pd.DataFrame(
        {
            "penalty": ["0", "the best of the grid", "the best by the formula"],
            "lambda": [0.0, ALPHAS[risk.argmin()], SIGMA**2 * D / (N * size)],
            "excess risk": [
                least_squares,
                risk.min(),
                least_squares * size / (size + SIGMA**2 * D / N),
            ],
        }
    )
    return Evidence(
        expected=float(size / (size + SIGMA**2 * D / N)),
        measured=float(risk.min() / least_squares),
        tolerance=0.03**2,
        table=table,
        figure=lambda: curve(risk, least_squares),
    )


def curve(risk: np.ndarray, least_squares: float) -> Figure:
    """Draw the excess risk over penalties, and that of least squares."""
    figure, axes = new_figure()
    axes.plot(ALPHAS, risk, label="ridge")
    axes.axhline(least_squares, color=COLOURS[1], linestyle="--", label="least squares")
    axes.set(xscale="log", xlabel="penalty lambda", ylabel="excess risk")
    axes.legend()
    return figure
