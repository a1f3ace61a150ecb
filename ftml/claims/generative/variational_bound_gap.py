"""The bound of a variational autoencoder misses log p(x) by KL(q(z|x) | p(z|x)).

    log p(x) = E_q[log p(x|z)] - KL(q(z|x) | p(z)) + KL(q(z|x) | p(z|x))

q is the encoder's throughout. The notes write p_phi for it once (mistake 46): were it
the model's own posterior, the last term would be 0 and the bound log p(x) itself. A
linear model, of which all terms are known; the encoder's means are 0.3 off and its
variances 1.5 times too large. The measured value is the largest gap of the equation
over 50 random rows, in nats; the value in the source is that without the last term. The
figure has the bound over the encoder's variance: it touches log p(x) at the posterior.

Source: Deep learning cheat sheet, section 19.2, variational autoencoders.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ftml.claims.generative._linear import (
    MEAN,
    NOISE,
    W,
    log_p,
    network,
    posterior,
    random_rows,
)
from ftml.evidence import Budget, Evidence
from ftml.families.generative._latent import gaussian_kl, log_likelihood
from ftml.nn.latent_networks import LatentGaussian
from ftml.plots import COLOURS, new_figure

MISTAKES = (46,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of the equation, and the value in the source."""
    x = random_rows(np.random.default_rng(seed), 50)
    exact = log_p(x)
    net = network(shift=0.3, wider=1.5)
    gap = exact - elbo(net, x)
    return Evidence(
        expected=0.0,
        measured=float((gap - to_posterior(net, x)).abs().max()),
        tolerance=1e-12,
        value_in_source=float(gap.abs().max()),
        figure=lambda: touching(x),
    )


@torch.no_grad()
def elbo(net: LatentGaussian, x: Tensor) -> Tensor:
    """Return the bound of each row, (B,), in closed form."""
    mu, log_v = net.encode(x)
    slack = log_v.exp() @ W.square().sum(dim=0) / (2 * NOISE)
    found: Tensor = log_likelihood(net, x, mu) - slack - gaussian_kl(mu, log_v)
    return found


@torch.no_grad()
def to_posterior(net: LatentGaussian, x: Tensor) -> Tensor:
    """Return KL(q(z | x) | p(z | x)) of each row, (B,), in the posterior's units."""
    mu, log_v = net.encode(x)
    into, v = posterior()
    away = (mu - (x - MEAN) @ into.T) / v.sqrt()
    return gaussian_kl(away, log_v - v.log())


def touching(x: Tensor) -> Figure:
    """Plot the mean bound over the variance of the encoder."""
    factors = np.geomspace(0.1, 10, 81)
    figure, axes = new_figure()
    for shift, colour in ((0.0, COLOURS[0]), (0.3, COLOURS[2])):
        means = [float(elbo(network(shift=shift, wider=f), x).mean()) for f in factors]
        label = f"bound, means off by {shift:g}"
        axes.plot(factors, means, color=colour, label=label)
    axes.axhline(
        float(log_p(x).mean()), color=COLOURS[1], linestyle="--", label="log p(x)"
    )
    axes.set(xscale="log", xlabel="variance of the encoder / of the posterior")
    axes.set(ylabel="nats per sample")
    axes.legend()
    return figure
