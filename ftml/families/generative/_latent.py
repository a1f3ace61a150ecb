"""What models with Gaussian latent variables share: the bound, the model, its loss.

    log p(x) >= ELBO = E_q[log p(x | z)] - KL(q(z | x) | p(z)),   p(z) = N(0, I)
    KL = (1/2) sum_j (mu_j^2 + v_j - 1 - log v_j),   q(z | x) = N(mu(x), diag v(x))

with z = mu + sqrt(v) e, e ~ N(0, I), in training (reparametrisation). q is the
encoder's throughout (mistake 46), and the bound is equal where it is the posterior.
From K draws of q

    log p(x) >= E log (1/K) sum_k p(x, z_k) / q(z_k | x)

which rises with K to log p(x).

Two distributions p(x | z). Bernoulli, of pixels: a grey pixel x means black with
probability x, and its term x log p + (1 - x) log (1 - p) is the mean over black and
white; so both bounds hold for the mean log-probability of images drawn so. Gaussian,
its variances learnt, one for each value: densities in the units of the data, pixels
from 0 to 1.

Axes: n rows, B batch, m dimension of a code, K draws.

Source: Deep learning cheat sheet, sections 17.4.2 and 19.2; Burda et al. 2016,
"Importance weighted autoencoders", for the bound of K draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.core import State, device
from ftml.data import Images, Splits, Table
from ftml.data.standardize import Scaling
from ftml.families.generative._autoencoder import Size
from ftml.families.generative._model import (
    NETWORKS,
    as_data,
    as_samples,
    decoded,
    mapped,
)
from ftml.families.generative._training import (
    TrainingConfig,
    rows_problem,
    shown_codes,
)
from ftml.nn.activations import Activation
from ftml.nn.inputs import inputs_of
from ftml.nn.latent_networks import (
    DeepLatentGaussian,
    DrawOfRows,
    LatentGaussian,
)
from ftml.nn.layers import Draw
from ftml.nn.network_model import NetworkModel
from ftml.training import Problem, Turn

Network = LatentGaussian | DeepLatentGaussian

DRAWS = 8
"Draws of an estimate of the ELBO."


class LatentConfig(TrainingConfig):
    """What models with latent variables have."""

    hidden: Annotated[tuple[Size, ...], Field(min_length=0)] = (128,)
    "units of the encoder's hidden layers; the decoder's are in the reverse order"

    activation: Activation = "relu"
    "of the hidden units"

    likelihood: Literal["bernoulli", "gaussian"] | None = None
    "p(x | z); by default bernoulli for images and gaussian for features"


@dataclass(frozen=True)
class Model(NetworkModel):
    binary: bool
    "whether all training pixels were black or white"

    snapshots: list[tuple[int, Tensor]]
    "epochs, and what was made of the same codes after each"

    @property
    def gaussian(self) -> bool:
        """Whether p(x | z) is Gaussian."""
        return bool(self.options["gaussian"])

    @property
    def n_code(self) -> int:
        """m, of all layers together."""
        return int(np.sum(self.options["code"]))

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the means mu(x) (n, m) of the codes of X."""
        return mapped(self, X, lambda network, x: network.encode(x)[0])

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return the mean of p(x | z) for codes z (n, m), in the data's units."""
        return as_data(self, decoded(self, z))

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return the mean of p(x | z) at z = mu(x), of X's shape and unit."""
        return self.decode(self.transform(X))

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples in the form of the data.

        Of p(x | z) with z of the prior; where grey pixels were learnt as Bernoulli, its
        mean, for a draw of it is black and white.
        """
        rng = np.random.default_rng(seed)
        x = decoded(self, rng.normal(size=(n, self.n_code)))
        if self.gaussian:
            log_noise = self.weights["log_noise"].double().cpu().numpy()
            deviation = np.exp(0.5 * log_noise).reshape(self.shape)
            x = x + deviation * rng.normal(size=x.shape)
        elif self.binary:
            x = (rng.random(x.shape) < x).astype(np.float64)
        return as_samples(self, x)

    def elbo(self, X: np.ndarray) -> np.ndarray:
        """Return the bound of each row, (n,) nats, from 8 draws of its code.

        The draws of a row depend on its values alone.
        """

        def bound(network: Network, x: Tensor) -> Tensor:
            draw = DrawOfRows(x, n_draws=DRAWS)
            mu, log_v = network.encode(x)
            terms = [
                log_likelihood(network, x, drawn_code(mu, log_v, draw))
                for _ in range(DRAWS)
            ]
            return torch.stack(terms).mean(dim=0) - gaussian_kl(mu, log_v)

        return self._bound(X, bound)

    def log_likelihood(self, X: np.ndarray, *, n_draws: int = 64) -> np.ndarray:
        """Return the bound of each row by K = n_draws weighted draws, (n,) nats.

        The draws of a row depend on its values alone.
        """

        def bound(network: Network, x: Tensor) -> Tensor:
            draw = DrawOfRows(x, n_draws=n_draws)
            return importance_bound(network, x, draw, n_draws=n_draws)

        return self._bound(X, bound)

    def _bound(
        self, X: np.ndarray, bound: Callable[[Network, Tensor], Tensor]
    ) -> np.ndarray:
        found = mapped(self, X, bound)
        if self.scaling is None:
            return found
        return found - np.log(Scaling(*self.scaling).scale).sum()


def gaussian_kl(mu: Tensor, log_v: Tensor) -> Tensor:
    """Return KL(N(mu, diag v) | N(0, I)) of each row, (B,)."""
    return 0.5 * (mu.square() + log_v.exp() - 1 - log_v).sum(dim=1)


def drawn_code(mu: Tensor, log_v: Tensor, draw: Draw | DrawOfRows) -> Tensor:
    """Return mu + sqrt(v) e, e standard normal."""
    return mu + (0.5 * log_v).exp() * draw.normal(mu)


def log_likelihood(network: Network, x: Tensor, z: Tensor) -> Tensor:
    """Return log p(x | z) of each row, (B,)."""
    outputs = network.outputs(z)
    if network.log_noise is None:
        each = -F.binary_cross_entropy_with_logits(outputs, x, reduction="none")
        return each.flatten(1).sum(dim=1)
    log_noise = network.log_noise
    square = (x - outputs).flatten(1).square() * torch.exp(-log_noise)
    return -0.5 * (square + log_noise + math.log(2 * math.pi)).sum(dim=1)


def importance_bound(
    network: Network, x: Tensor, draw: Draw | DrawOfRows, *, n_draws: int
) -> Tensor:
    """Return log (1/K) sum_k p(x, z_k) / q(z_k | x) of each row, (B,)."""
    mu, log_v = network.encode(x)
    weights = []
    for _ in range(n_draws):
        z = drawn_code(mu, log_v, draw)
        e = (z - mu).square() * torch.exp(-log_v)
        # The constants of p(z) and q(z | x) are the same.
        log_ratio = 0.5 * (e + log_v - z.square()).sum(dim=1)
        weights.append(log_likelihood(network, x, z) + log_ratio)
    return torch.logsumexp(torch.stack(weights), dim=0) - math.log(n_draws)


def problem_of(
    config: LatentConfig,
    data: Splits[Images | Table],
    network: str,
    options: Mapping[str, Any],
    *,
    beta: float = 1.0,
) -> Problem:
    """Return the problem of a latent-variable model: less ELBO, the KL times beta.

    Raises ValueError for features with a Bernoulli likelihood.
    """
    block = data.train
    inputs, is_images = inputs_of(block), isinstance(block, Images)
    made = {
        "shape": inputs.shape,
        "hidden": config.hidden,
        "activation": config.activation,
        "gaussian": _is_gaussian(config, is_images=is_images),
        **options,
    }
    # 255 + 1 is 0 in uint8. np.isin would take eight times the memory of the images.
    binary = is_images and int((block.X + np.uint8(1)).max()) <= 1

    def model(weights: dict[str, Tensor], record: State) -> Model:
        return Model(
            network,
            made,
            weights,
            inputs.shape,
            inputs.scaling,
            binary,
            record["snapshots"],
        )

    return rows_problem(
        config,
        inputs.tensor(block.X).to(device()),
        network=lambda generator: NETWORKS[network](**made, generator=generator),
        turns=partial(_turns, beta=beta),
        model=model,
        shown=shown_codes(int(np.sum(options["code"])), is_images=is_images),
    )


def _is_gaussian(config: LatentConfig, *, is_images: bool) -> bool:
    likelihood = config.likelihood or ("bernoulli" if is_images else "gaussian")
    if likelihood == "bernoulli" and not is_images:
        raise ValueError("likelihood: bernoulli is for pixels, these are features")
    return likelihood == "gaussian"


def _turns(network: Network, x: Tensor, draw: Draw, *, beta: float) -> Iterator[Turn]:
    """Yield the one turn of an update."""
    mu, log_v = network.encode(x)
    likelihood = log_likelihood(network, x, drawn_code(mu, log_v, draw)).mean()
    kl = gaussian_kl(mu, log_v).mean()
    loss = beta * kl - likelihood
    scalars = {"loss": loss, "elbo": likelihood - kl, "kl": kl}
    yield Turn(scalars, loss=loss, size=len(x))
