"""With K weighted samples the bound rises to log p(x), by a gap that falls as 1 / K.

    L_K = E log (1/K) sum_k p(x, z_k) / q(z_k | x),   log p - L_K ~ Var(w) / (2 K)

w = p(x, z) / (q(z | x) p(x)). A linear model with an encoder that is somewhat too wide
and off: log p(x) is known. The measured value is the slope of the logarithm of the mean
gap over that of K = 1, 2, 4, ..., 32, of 4,000 random rows each. It is -1 but for terms
that fall with K, less than 0.1 here, and for chance, 5.5 standard errors, a probability
of 4e-8.

Source: Deep learning cheat sheet, section 19.2; Burda et al. 2016, "Importance weighted
autoencoders".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.claims.generative._linear import log_p, network, random_rows
from ftml.evidence import CHANCE, STANDARD_ERRORS, Budget, Evidence
from ftml.families.generative._latent import importance_bound
from ftml.nn.layers import Draw
from ftml.plots import COLOURS, new_figure

KS = 2 ** np.arange(6)
FINITE = 0.1


def check(seed: int, budget: Budget) -> Evidence:
    """Return the slope of the gap over the samples."""
    draws = budget.draw(gaps, seed=seed, n=4000)
    log_k, means = np.log(KS), draws.mean(axis=0)
    slope = np.polyfit(log_k, np.log(means), 1)[0]
    weights = (log_k - log_k.mean()) / np.sum((log_k - log_k.mean()) ** 2)
    relative = draws.std(axis=0, ddof=1) / means
    error = float(np.linalg.norm(weights * relative) / np.sqrt(len(draws)))
    table = pd.DataFrame({"draws K": KS, "log p - L_K, nats": means})
    return Evidence(
        expected=-1.0,
        measured=float(slope),
        tolerance=FINITE + STANDARD_ERRORS * error,
        standard_error=error,
        chance=CHANCE,
        table=table,
        figure=lambda: rise(means),
    )


@torch.no_grad()
def gaps(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return samples whose means are the gaps, of n random rows for each K, (n, KS)."""
    net = network(shift=0.2, wider=1.3)
    draw = Draw(
        [torch.Generator().manual_seed(int(rng.integers(2**62)))], stacked=False
    )
    found = []
    for K in KS:
        x = random_rows(rng, n)
        log_w = importance_bound(net, x, draw, n_draws=int(K)) - log_p(x)
        # w - 1 has mean 0; as a control variate it removes most of the variance.
        found.append(torch.expm1(log_w) - log_w)
    return torch.stack(found, dim=1).numpy()


def rise(means: np.ndarray) -> Figure:
    """Plot the gap over the number of samples, and 1 / K through the last."""
    figure, axes = new_figure()
    axes.plot(KS, means, marker="o", label="mean gap of the rows")
    axes.plot(KS, means[-1] * KS[-1] / KS, "--", color=COLOURS[1], label="1 / K")
    axes.set(xscale="log", yscale="log", xlabel="draws K of a bound")
    axes.set_xticks(KS, [str(k) for k in KS])
    axes.minorticks_off()
    axes.set(ylabel="log p(x) - L_K, nats")
    axes.legend()
    return figure
