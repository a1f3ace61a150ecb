"""The likeliest noise of probabilistic PCA is the mean of the dropped eigenvalues.

    A = W W' + s I,   W = V_q (Lambda_q - s I)^(1/2),
    s = (1 / (d - q)) sum_{j > q} lambda_j

The measured value is the largest entry of the gradient of the mean log-likelihood in W
and log s, by torch, at the family's solution for the iris table and two factors:
nothing but rounding. The table has what a tenth more and less noise would lose.

Source: Deep learning cheat sheet, section 17.3, probabilistic PCA; Tipping and Bishop
1999.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from torch.distributions import MultivariateNormal

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import ppca
from ftml.plots import COLOURS, new_figure


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gradient of the likelihood at the family's solution."""
    X = load_iris().data
    model = fit(ppca.Config(n_components=2), Table(X)).model
    W = torch.from_numpy(model.loadings.copy()).requires_grad_()
    log_s = torch.tensor(model.noise[0]).log().requires_grad_()
    A = W @ W.T + log_s.exp() * torch.eye(len(W), dtype=torch.float64)
    distribution = MultivariateNormal(torch.from_numpy(model.mean), A)
    value = distribution.log_prob(torch.from_numpy(X)).mean()
    gradients = torch.autograd.grad(value, (W, log_s))
    steepest = max(float(each.abs().max()) for each in gradients)
    rows = [(f, mean_log_density(model, X, factor=f)) for f in (0.9, 1.0, 1.1)]
    table = pd.DataFrame(rows, columns=["noise / best noise", "nats per sample"])
    return Evidence(
        expected=0.0,
        measured=steepest,
        tolerance=1e-10,
        table=table,
        figure=lambda: top(model, X),
    )


def mean_log_density(model: ppca.Model, X: np.ndarray, *, factor: float) -> float:
    """Return the mean log-density of rows X with so much of the noise."""
    other = replace(model, noise=factor * model.noise)
    return float(other.log_density(X).mean())


def top(model: ppca.Model, X: np.ndarray) -> Figure:
    """Plot the likelihood over the noise."""
    factors = np.linspace(0.5, 2.0, 61)
    figure, axes = new_figure()
    axes.plot(factors, [mean_log_density(model, X, factor=f) for f in factors])
    axes.axvline(1.0, color=COLOURS[1], linestyle="--", label="mean dropped eigenvalue")
    axes.set(xlabel="noise / mean of the dropped eigenvalues")
    axes.set(ylabel="mean log-likelihood, nats per sample")
    axes.legend()
    return figure
