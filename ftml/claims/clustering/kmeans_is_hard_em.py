"""k-means is EM for a mixture of equal round Gaussians whose width goes to zero.

    r_ik = pi_k N(x_i; mu_k, s^2 I) / sum_j ... -> 1 for the nearest centre, as s -> 0

From one and the same centres, an EM step of spherical Gaussians of standard deviation s
and equal weights moves the means to where a step of k-means moves the centres. The
measured value is the largest gap of the two at s = 0.01, in standard deviations of the
rows; the table has wider ones.

Source: FTML lecture 9, "Unsupervised learning: clustering"; Homework 4 answers,
"Problem 4".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

from ftml.evidence import Budget, Evidence
from ftml.families.clustering._assignment import assign
from ftml.families.density import gmm
from ftml.families.density._em import expect, maximise
from ftml.families.density._mixture import whitening
from ftml.plots import new_figure

K = 3
WIDTHS = (2.0, 1.0, 0.5, 0.3, 0.2, 0.1, 1e-5)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap between the moved means and the moved centres."""
    X = load_iris().data
    rng = np.random.default_rng(seed)
    # Near one row of each kind, so that no centre is left without rows.
    centres = X[[10, 60, 110]] + 0.1 * rng.normal(size=(K, X.shape[1]))
    given = assign(X, centres, np.array([K]))
    moved = given.sums / given.counts[:, None]
    gaps = [np.abs(em_means(X, centres, s) - moved).max() / X.std() for s in WIDTHS]
    return Evidence(
        expected=0.0,
        measured=float(gaps[-1]),
        tolerance=1e-6,
        table=pd.DataFrame({"deviation s": WIDTHS, "largest gap": gaps}),
        figure=lambda: hardening(gaps),
    )


def em_means(X: np.ndarray, centres: np.ndarray, s: float) -> np.ndarray:
    """Return the means (k, d) after a step of EM from round Gaussians."""
    roots = np.full(centres.shape, s)
    log_weights = np.full(K, -np.log(K))
    moments = expect(X, log_weights, centres, whitening(roots), np.array([K]))
    config = gmm.Config(n_components=K, covariance="spherical")
    return maximise(moments, centres, roots, config=config)[1]


def hardening(gaps: list[float]) -> Figure:
    """Plot the gap between both steps over the width of the Gaussians."""
    figure, axes = new_figure()
    axes.plot(WIDTHS[:-1], gaps[:-1], marker="o")
    axes.set(xscale="log", xlabel="deviation s of the Gaussians, cm")
    axes.set(ylabel="largest gap of EM's mean to k-means's, deviations")
    return figure
