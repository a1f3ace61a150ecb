"""Without noise the factors of probabilistic PCA are the coordinates of PCA, unscaled.

    E[z | x] = (W'W + s I)^-1 W'(x - m) -> W^+ (x - m),   s -> 0

The rows lie in a plane but for noise of variance s, which the family finds. The
measured value is the slope of the logarithm of the gap between E[z | x] and the
pseudo-inverse over that of s, for s from 1e-4 to 1e-8: the gap is of the order of s,
the slope 1.

Source: Deep learning cheat sheet, section 17.3, probabilistic PCA; Tipping and Bishop
1999.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import ppca
from ftml.plots import new_figure

Q, D = 2, 6
NOISES = np.array([1e-4, 1e-5, 1e-6, 1e-7, 1e-8])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the gap over the noise."""
    rng = np.random.default_rng(seed)
    # Orthogonal loadings of norms 2 and 1: no plane is nearly a line.
    W = np.linalg.qr(rng.normal(size=(D, Q)))[0] * [2.0, 1.0]
    plane, noise = rng.normal(size=(300, Q)) @ W.T, rng.normal(size=(300, D))
    found = [fitted(plane + np.sqrt(s) * noise) for s in NOISES]
    table = pd.DataFrame(found, columns=["noise found", "largest gap"])
    log_noise, log_gap = np.log(table.to_numpy()).T
    slope = np.polyfit(log_noise, log_gap, 1)[0]
    return Evidence(
        expected=1.0,
        measured=float(slope),
        tolerance=0.01,
        table=table,
        figure=lambda: limit(table),
    )


def fitted(X: np.ndarray) -> tuple[float, float]:
    """Return the noise that is found, and the largest gap of a factor to W^+."""
    model = fit(ppca.Config(n_components=Q), Table(X)).model
    limit = (X - model.mean) @ np.linalg.pinv(model.loadings).T
    return float(model.noise[0]), float(np.abs(model.transform(X) - limit).max())


def limit(table: pd.DataFrame) -> Figure:
    """Plot the gap over the noise."""
    figure, axes = new_figure()
    axes.plot(table["noise found"], table["largest gap"], marker="o")
    axes.set(xscale="log", yscale="log", xlabel="noise variance s")
    axes.set(ylabel="largest gap of a factor to PCA's coordinate")
    return figure
