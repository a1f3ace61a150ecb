"""No Hessian of a convex loss has a negative eigenvalue; the penalty is the least.

    hess g = (1/n) sum s(z_i) s(-z_i) x_i x_i' + mu I >= mu I

where columns repeat, some direction changes no score, and the least eigenvalue is mu
itself. The measured value is the least eigenvalue of the project's Hessian of the
logistic objective over 20 random points with a repeated column, in mu; NaN where the
Hessian of the softmax loss, by central differences of the family's gradient, has one
below -1e-8. Only rounding is tolerated, at a condition number below 1e4.

Source: FTML lecture 9, "Convex surrogates for classification"; Deep learning cheat
sheet, 14.4 ("Convex Function").
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import farthest
from ftml.claims.optimization._sums import overlapping
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear.softmax_regression import loss_and_gradient
from ftml.families.optimization._finite_sum import hessian, make_sum

MU = 1e-2


def check(seed: int, budget: Budget) -> Evidence:
    """Return the least eigenvalue, in mu, that is farthest from 1."""
    rng = np.random.default_rng(seed)
    table = overlapping(seed)
    twice = Table(
        np.column_stack([table.X[:, 0], table.X]), table.y, classes=table.classes
    )
    g = make_sum(twice, mu=MU)
    points = rng.normal(size=(20, g.X.shape[1]))
    least = [np.linalg.eigvalsh(hessian(g, theta))[0] / MU for theta in points]
    y = rng.integers(3, size=len(g.y))
    softmax = softmax_hessian(g.X, y, rng.normal(size=(g.X.shape[1], 3)))
    convex = np.linalg.eigvalsh(softmax)[0] > -1e-8
    return Evidence(
        expected=1.0,
        measured=farthest(least, 1.0) if convex else float("nan"),
        tolerance=1e-10,
    )


def softmax_hessian(X: np.ndarray, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return the second derivatives of the softmax loss by central differences."""
    h, rows = 1e-5, []
    for direction in np.eye(theta.size).reshape(-1, *theta.shape):
        up, down = (
            loss_and_gradient(theta + sign * h * direction, X, y, alpha=0.0)[1]
            for sign in (1, -1)
        )
        rows.append(((up - down) / (2 * h)).ravel())
    found = np.array(rows)
    return (found + found.T) / 2
