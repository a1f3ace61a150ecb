"""With codes z = mu + sqrt(v) e the gradient of a mean is the mean of gradients.

    d/dlog v  E_q[z^4] = E[4 z^3 dz/dlog v],   z = mu + sqrt(v) e,   e ~ N(0, 1)

E_q[z^4] = mu^4 + 6 mu^2 v + 3 v^2, so that the gradient is 6 mu^2 v + 6 v^2. A sample
is the gradient by torch through one code that the family samples; their mean is
compared within its standard errors. The table has the variance of such a sample and of
one by the logarithm's gradient, f(z) dlog q / dlog v, which needs no gradient of f.

Source: Deep learning cheat sheet, section 19.2, reparametrization trick; section 2,
log-trick.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.generative._latent import drawn_code
from ftml.nn.layers import Draw
from ftml.plots import COLOURS, new_figure

MU, V = 1.0, 0.5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean gradient through sampled codes beside the true one."""

    def gradients(rng: np.random.Generator, n: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        mu = torch.full((n, 1), MU, dtype=torch.float64)
        log_v = torch.full_like(mu, np.log(V)).requires_grad_()
        z = drawn_code(mu, log_v, Draw([generator], stacked=False))
        (through,) = torch.autograd.grad(z.pow(4).sum(), log_v)
        z = z.detach()
        by_log = z**4 * ((z - mu) ** 2 / V - 1) / 2
        return torch.cat([through, by_log], dim=1).numpy()

    draws = budget.draw(gradients, seed=seed, n=200_000)
    table = pd.DataFrame({"gradient": ["through the code", "of log q"]})
    table["variance of a sample"] = draws.var(axis=0)
    expected = 6 * MU**2 * V + 6 * V**2
    return evidence_of_mean(
        draws[:, 0],
        expected=expected,
        table=table,
        figure=lambda: spread(draws, expected),
    )


def spread(draws: np.ndarray, expected: float) -> Figure:
    """Plot how 1,000 means of 100 samples lie, by both ways to a gradient."""
    means = draws[:100_000].reshape(1000, 100, 2).mean(axis=1)
    figure, axes = new_figure()
    low, high = np.quantile(means, [0.001, 0.999]).tolist()
    bins = np.linspace(low, high, 60).tolist()
    names = ("through the code", "by the gradient of log q")
    for j, name in enumerate(names):
        axes.hist(means[:, j], bins=bins, alpha=0.7, label=name)
    axes.axvline(expected, color=COLOURS[-1], linestyle=":", label="true gradient")
    axes.set(xlabel="mean of 100 sampled gradients", ylabel="how many of 1,000")
    axes.legend()
    return figure
