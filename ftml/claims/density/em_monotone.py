"""EM never lowers the likelihood of a mixture, and ends where its gradient is zero.

    log p(x | theta_(t+1)) >= log p(x | theta_t),   d log p / d theta = 0 at the end

A mixture of three Gaussians on 400 random rows, without `reg_covar`. The measured value
is the larger of the largest fall of the mean log-likelihood in a step and the largest
entry of its gradient at the end, in the free parameters of the gradient route; EM ends
when a step gains less than 1e-13 nats, where an entry is below 1e-5 as gains are of its
square.

Source: Homework 4 answers, "Problem 4".
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims.density._rows import K, random_rows
from ftml.data import Splits, Table
from ftml.evidence import Budget, Evidence
from ftml.families.density import gmm
from ftml.families.density._mixture import whitening
from ftml.families.density.gmm_gradient import Parameters, flat, loss_and_gradient
from ftml.plots import new_figure


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest fall, or the largest gradient at the end."""
    X = random_rows(seed)
    config = gmm.Config(
        seed=seed,
        n_components=K,
        n_init=1,
        reg_covar=0.0,
        n_iterations=2000,
        tolerance=1e-13,
    )
    steps = list(gmm.train(config, Splits(Table(X))))
    values = np.array([step.metrics["train_log_likelihood"] for step in steps])
    return Evidence(
        expected=0.0,
        measured=max(
            float(-np.diff(values).min()), largest_gradient(steps[-1].model, X)
        ),
        tolerance=1e-5,
        figure=lambda: climb(values),
    )


def largest_gradient(model: gmm.Model, X: np.ndarray) -> float:
    """Return the largest entry of the gradient of the mean log-likelihood."""
    U = whitening(model.roots)[None]
    theta = flat(Parameters(np.log(model.weights)[None], model.means[None], U))
    _, gradients = loss_and_gradient(theta, X, k=K, penalty=0.0)
    return float(np.abs(gradients).max())


def climb(values: np.ndarray) -> Figure:
    """Plot how far each step is below the end."""
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(values)), values[-1] - values[:-1])
    axes.set(yscale="log", xlabel="step of EM")
    axes.set(ylabel="nats per sample below the end")
    return figure
