"""Score matching adds half the squared score; with a minus there is no minimum.

    J = E[sum_i d_i psi_i + (1/2) psi_i^2],   psi = grad log p

For a Gaussian whose precision is c times that of the rows J is c^2 / 2 - c per column:
least at c = 1, without the normaliser being known. With the minus that the notes print
(mistake 43) it falls forever. The measured value is the c that minimises the family's
objective among 0, 0.01, ..., 10, along its own solution; for the printed version that
is the last one.

Source: Deep learning cheat sheet, section 17.1, score matching.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.density import score_matching
from ftml.families.density._energy import Bumps, coefficients, whiten
from ftml.plots import COLOURS, new_figure

MISTAKES = (43,)

D, ROWS = 2, 200
SCALES = np.linspace(0.0, 10.0, 1001)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the best scale of the rows' precision, and the value in the source."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, D)) @ rng.normal(size=(D, D)) + 3.0
    config = score_matching.Config(seed=seed, n_bumps=0)
    model = fit(config, Table(X)).model
    y = whiten(X, model.center, model.root)
    nothing = Bumps(np.zeros((0, D)), 1.0)
    units = np.broadcast_to(np.eye(D)[:, None], (D, ROWS, D))
    A, b = score_matching.quadratic(y, nothing, units)
    theta = coefficients(np.linalg.inv(np.cov(y.T, bias=True)), np.zeros(D), 0)
    squares, curvature = 0.5 * theta @ A @ theta, b @ theta
    right, printed = (SCALES * curvature + s * SCALES**2 * squares for s in (1, -1))
    own = float(
        np.trace(model.precision) / np.trace(np.linalg.inv(np.cov(y.T, bias=True)))
    )
    best = float(SCALES[right.argmin()])
    return Evidence(
        expected=1.0,
        measured=max(own, best, key=lambda c: abs(c - 1)),
        tolerance=1e-9,
        value_in_source=float(SCALES[printed.argmin()]),
        figure=lambda: objectives(right, printed),
    )


def objectives(right: np.ndarray, printed: np.ndarray) -> Figure:
    """Plot both objectives over the precision, relative to the rows' own."""
    shown = SCALES <= 3
    figure, axes = new_figure()
    axes.plot(SCALES[shown], right[shown], label="with + (1/2) psi²")
    axes.plot(
        SCALES[shown],
        printed[shown],
        color=COLOURS[1],
        label="with - (1/2) psi² in the notes",
    )
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel="precision of the model / precision of the rows", ylabel="J")
    axes.legend()
    return figure
