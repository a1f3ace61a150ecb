"""An L2 penalty shrinks the weights along each eigenvector of the Hessian by itself.

    theta~ = Q diag(e_i / (e_i + lambda)) Q' theta*        one lambda for all weights
    theta~ = (H + diag(lambda))^-1 H theta*                one lambda for each

on a quadratic risk with H = Q diag(e) Q'. Ridge with one penalty meets the first; with
columns divided by sqrt(lambda_i) it has a penalty for each weight, and meets the
second. The measured value is the larger relative distance of the two. The notes write Q
diag(e_i / (e_i + lambda_i)) Q' for several lambdas (mistake 36), which mixes the axes
of the eigenvectors with those of the weights. The columns are generated from the seed;
only rounding is tolerated.

Source: Deep learning cheat sheet, 14.11.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.linear.ridge import ridge_path, solve_ridge
from ftml.plots import new_figure

MISTAKES = (36,)
N, D = 60, 5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance of ridge from both formulas, and from the printed one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
    y = rng.normal(size=N)
    best = solve_ridge(X, y, alpha=0.0)
    H = X.T @ X / N
    values, Q = np.linalg.eigh(H)
    penalties = np.geomspace(0.1, 10.0, D)
    scale = np.sqrt(penalties)
    each = solve_ridge(X / scale, y, alpha=1.0) / scale
    distances = {
        "one lambda": distance(
            solve_ridge(X, y, alpha=0.7), Q @ (values / (values + 0.7) * (Q.T @ best))
        ),
        "a lambda for each": distance(
            each, np.linalg.solve(H + np.diag(penalties), H @ best)
        ),
        "a lambda for each in the notes": distance(
            each, Q @ (values / (values + penalties) * (Q.T @ best))
        ),
    }
    gaps = list(distances.values())
    return Evidence(
        expected=0.0,
        measured=farthest(gaps[:2], 0.0),
        tolerance=1e-9,
        value_in_source=gaps[2],
        table=pd.DataFrame(
            {"formula": list(distances), "distance of ridge from it": gaps}
        ),
        figure=lambda: shrinkage(X, y, values, Q),
    )


def distance(found: np.ndarray, formula: np.ndarray) -> float:
    """Return |found - formula| / |found|."""
    return float(np.linalg.norm(found - formula) / np.linalg.norm(found))


def shrinkage(
    X: np.ndarray, y: np.ndarray, values: np.ndarray, Q: np.ndarray
) -> Figure:
    """Plot the remaining fraction along each eigenvector over the penalty."""
    alphas = np.logspace(-3, 3, 60)
    left = ridge_path(X, y, alphas=alphas) @ Q / (solve_ridge(X, y, alpha=0.0) @ Q)
    figure, axes = new_figure()
    for value, part in zip(values[::-1], left.T[::-1], strict=True):
        axes.semilogx(alphas, part, label=f"{value:.2g}")
    axes.set(xlabel="penalty lambda", ylabel="fraction of the part that is left")
    figure.legend(title="eigenvalue", loc="outside right upper", frameon=False)
    return figure
