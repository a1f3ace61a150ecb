"""Ridge's excess risk is a squared bias, which grows with lambda, plus a variance.

    E[excess risk] = lambda^2 theta' (S + lambda I)^-2 S theta
                     + (sigma^2 / n) tr(S^2 (S + lambda I)^-2),   S = X'X / n

on a fixed design, for y = X theta + noise. The design is the scaled diabetes table, 442
x 10, the noise normal with sigma = 2, lambda = 0.3. Each sample is the excess risk of
one fit; their mean is compared within its standard errors.

Source: FTML lecture 9, "Ridge regression"; Bach 2021, "Learning theory from first
principles", section 3.6, for the formula.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.linear._columns import centred_and_scaled
from ftml.families.linear.ridge import ridge_path, solve_ridge
from ftml.plots import COLOURS, new_figure

SIGMA, ALPHA = 2.0, 0.3


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean excess risk of 400 fits or more beside its formula."""
    X, _ = centred_and_scaled(load_diabetes().data, standardize=True)
    n, d = X.shape
    theta = np.linspace(-1.0, 1.0, d)

    def excess_risks(rng: np.random.Generator, draws: int) -> np.ndarray:
        noise = SIGMA * rng.normal(size=(draws, n))
        found = [solve_ridge(X, X @ theta + e, alpha=ALPHA) for e in noise]
        return np.mean(((np.asarray(found) - theta) @ X.T) ** 2, axis=1)

    bias, variance = parts(X, theta, np.array([ALPHA]))
    return evidence_of_mean(
        budget.draw(excess_risks, seed=seed, n=400),
        expected=float(bias[0] + variance[0]),
        figure=lambda: trade_off(X, theta, seed),
    )


def parts(
    X: np.ndarray, theta: np.ndarray, alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared bias and variance of each penalty of alphas (A,)."""
    values, vectors = np.linalg.eigh(X.T @ X / len(X))
    shrunk = 1.0 / (values[:, None] + alphas) ** 2  # (d, A)
    bias = alphas**2 * ((vectors.T @ theta) ** 2 * values @ shrunk)
    return bias, SIGMA**2 / len(X) * (values**2 @ shrunk)


def trade_off(X: np.ndarray, theta: np.ndarray, seed: int) -> Figure:
    """Plot bias, variance and their sum over penalties, and fifty fits of each."""
    alphas = np.logspace(-5, 1, 25)
    bias, variance = parts(X, theta, alphas)
    noise = SIGMA * np.random.default_rng(seed).normal(size=(50, len(X)))
    paths = np.array([ridge_path(X, X @ theta + e, alphas=alphas) for e in noise])
    met = np.mean(((paths - theta) @ X.T) ** 2, axis=(0, 2))
    figure, axes = new_figure()
    axes.loglog(alphas, bias, "--", color=COLOURS[0], label="squared bias")
    axes.loglog(alphas, variance, "--", color=COLOURS[2], label="variance")
    axes.loglog(alphas, bias + variance, color=COLOURS[1], label="their sum")
    axes.loglog(alphas, met, "k.", label="mean of 50 fits")
    axes.set(xlabel="penalty lambda", ylabel="excess risk", ylim=(1e-4, None))
    axes.legend()
    return figure
