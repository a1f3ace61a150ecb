"""At the optimum of factor analysis S A^-1 W = W, and S and A share their diagonal.

    S A^-1 W = W,   diag(S) = diag(A),   A = W W' + diag(psi)

S is the covariance of the rows. EM is run to the end on the wine table, columns scaled,
three factors. The measured value is the largest gap of both equations; EM's last steps
are of 1e-13 nats, of which the square root is about 3e-7.

Source: Deep learning cheat sheet, section 17.3, factor analysis.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_wine

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import factor_analysis


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of the two equations; nothing is random."""
    X = load_wine().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    config = factor_analysis.Config(n_components=3, n_iterations=5000, tolerance=1e-13)
    model = fit(config, Table(X)).model
    S, A, W = X.T @ X / len(X), model.covariance, model.loadings
    gaps = [S @ np.linalg.solve(A, W) - W, np.diag(S - A)]
    return Evidence(
        expected=0.0,
        measured=float(max(np.abs(gap).max() for gap in gaps)),
        tolerance=1e-5,
    )
