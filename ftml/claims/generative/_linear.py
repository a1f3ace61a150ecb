"""A variational autoencoder without hidden layers, whose likelihood is known."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from ftml.nn.latent_networks import LatentGaussian

NOISE = 0.7
W = torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.5, 0.0], [0.0, 2.0]], dtype=torch.float64)
"Its columns are orthogonal, so that the posterior's covariance is diagonal."
MEAN = torch.tensor([1.0, 0.0, -2.0, 3.0], dtype=torch.float64)
COVARIANCE = (W @ W.T + NOISE * torch.eye(4, dtype=torch.float64)).numpy()


def posterior() -> tuple[Tensor, Tensor]:
    """Return the map to the mean of p(z | x), (2, 4), and its variances (2,)."""
    v = 1 / (1 + W.square().sum(dim=0) / NOISE)
    return v[:, None] * W.T / NOISE, v


@torch.no_grad()
def network(*, shift: float = 0.0, wider: float = 1.0) -> LatentGaussian:
    """Return the model x = W z + m + noise with an encoder that may be wrong.

    shift: added to the mean of the posterior. wider: times its variances.
    """
    generator = torch.Generator().manual_seed(0)
    net = LatentGaussian((4,), 2, gaussian=True, generator=generator).double()
    head, decoder = net.encoder.head, net.decoder.head
    decoder.weight.copy_(W)
    decoder.bias.copy_(MEAN)
    if net.log_noise is not None:
        net.log_noise.fill_(math.log(NOISE))
    into, v = posterior()
    head.weight.copy_(torch.cat([into, torch.zeros_like(into)]))
    head.bias.copy_(torch.cat([shift - into @ MEAN, (wider * v).log()]))
    return net


def random_rows(rng: np.random.Generator, n: int) -> Tensor:
    """Return n rows of the model's distribution, (n, 4)."""
    return torch.from_numpy(rng.multivariate_normal(MEAN.numpy(), COVARIANCE, n))


def log_p(x: Tensor) -> Tensor:
    """Return log p(x) of each row, (B,)."""
    distribution = multivariate_normal(MEAN.numpy(), COVARIANCE)
    return torch.from_numpy(distribution.logpdf(x.numpy()))
