"""What adversaries share: the game of two networks, the model, its figures.

    V = E_x log D(x) + E_z log (1 - D(G(z))),   x of the data, z ~ N(0, I)

D ascends V, k times an update with rows of its own each time (mistake 47: x is of the
data, not of the noise). Then G descends V (minimax) or ascends E_z log D(G(z))
(non-saturating), whose gradient does not vanish where D is sure. In logits l, log D =
-softplus(-l) and log (1 - D) = -softplus(l). For D at its best, p_data / (p_data +
p_G), V = -log 4 + 2 JSD(p_data, p_G).

With `gradient_penalty` g, g/2 E_x |grad_x l(x)|^2 is added to the loss of D: without
it the game may turn around its equilibrium, with it it comes to rest. Inputs are pixels
from 0 to 1, or scaled features.

Axes: n rows, B batch, m dimension of noise.

Source: Deep learning cheat sheet, section 19.4; Goodfellow et al. 2014, "Generative
adversarial nets", algorithm 1; Mescheder et al. 2018, "Which training methods for GANs
do actually converge?", for the penalty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import LogUniform
from ftml.core import State, device
from ftml.data import Images, Splits, Table
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
from ftml.nn.inputs import inputs_of
from ftml.nn.layers import Draw
from ftml.nn.network_model import NetworkModel
from ftml.training import Problem, Turn


class AdversarialConfig(TrainingConfig):
    """How adversaries are trained."""

    learning_rate: Annotated[float, Field(gt=0), LogUniform(3e-4, 3e-3)] = 1e-3
    "step size of Adam, of both players"

    n_code: Size = 16
    "m, dimension of the noise that a sample is generated from"

    objective: Literal["non_saturating", "minimax"] = "non_saturating"
    "loss of the generator: -log D(G(z)), or log (1 - D(G(z)))"

    discriminator_steps: Size = 1
    "k, steps of the discriminator for one of the generator, each with its own rows"

    gradient_penalty: Annotated[float, Field(ge=0), LogUniform(0.05, 5.0)] = 0.5
    "weight g of the squared gradient of the discriminator's log-odds at the data"

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    "decay of Adam's mean gradient; with the usual 0.9 the game oscillates"


@dataclass(frozen=True)
class Model(NetworkModel):
    history: dict[str, list[float]]
    "the metrics of each epoch"

    snapshots: list[tuple[int, Tensor]]
    "epochs, and what was made of the same noise after each"

    @property
    def n_code(self) -> int:
        """m."""
        return int(self.options["code"])

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return what the generator makes of noise z (n, m), in the data's units."""
        return as_data(self, decoded(self, z))

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples in the form of the data."""
        z = np.random.default_rng(seed).normal(size=(n, self.n_code))
        return as_samples(self, decoded(self, z))

    def discriminate(self, X: np.ndarray) -> np.ndarray:
        """Return D(x), (n,): how probable each row is of the data, as D has it."""
        log_odds = mapped(self, X, lambda network, x: network.log_odds(x))
        return 1.0 / (1.0 + np.exp(-log_odds))


def problem_of(
    config: AdversarialConfig, data: Splits[Images | Table], options: Mapping[str, Any]
) -> Problem:
    """Return the problem of two adversaries; options: of their networks."""
    inputs, is_images = inputs_of(data.train), isinstance(data.train, Images)
    made = {
        "shape": inputs.shape,
        "code": config.n_code,
        "pixels": is_images,
        **options,
    }

    def model(weights: dict[str, Tensor], record: State) -> Model:
        return Model(
            "adversaries",
            made,
            weights,
            inputs.shape,
            inputs.scaling,
            record["history"],
            record["snapshots"],
        )

    return rows_problem(
        config,
        inputs.tensor(data.train.X).to(device()),
        network=lambda generator: NETWORKS["adversaries"](**made, generator=generator),
        turns=partial(_turns, config),
        model=model,
        shown=shown_codes(config.n_code, is_images=is_images),
        batches_per_update=config.discriminator_steps,
        beta=config.momentum,
    )


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return -V / 2 of log-odds of data (B,) and of what is made (B,)."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(made).mean())


def generator_loss(made: Tensor, objective: str) -> Tensor:
    """Return the generator loss, of the log-odds of generated rows (B,)."""
    if objective == "minimax":
        return -F.softplus(made).mean()
    return F.softplus(-made).mean()


def _turns(
    config: AdversarialConfig, network: Any, x: Tensor, draw: Draw
) -> Iterator[Turn]:
    """Yield k turns of the discriminator, on rows of its own each, and one of the
    generator.
    """
    for rows in parts_of(x, config.discriminator_steps):
        yield _discriminator_turn(config, network, rows, draw)
    rows = x[: config.batch_size]
    odds = network.log_odds(network.decode(_noise(config, rows, draw)))
    loss = generator_loss(odds, config.objective)
    scalars = {"generator_loss": loss}
    yield Turn(scalars, loss=loss, player="generator", size=len(rows))


def parts_of(x: Tensor, k: int) -> Sequence[Tensor]:
    """Return the rows of the k discriminator steps, in parts of nearly equal size.

    At the end of a pass there may be fewer than k rows: they are then used again.
    """
    if len(x) < k:
        x = x[torch.arange(k, device=x.device) % len(x)]
    return x.tensor_split(k)


def _noise(config: AdversarialConfig, rows: Tensor, draw: Draw) -> Tensor:
    return draw.normal(torch.empty(len(rows), config.n_code, device=rows.device))


def _discriminator_turn(
    config: AdversarialConfig, network: Any, rows: Tensor, draw: Draw
) -> Turn:
    """Return a turn of the discriminator; its accuracy is that on both halves."""
    with torch.no_grad():
        made = network.decode(_noise(config, rows, draw))
    rows = rows.detach().requires_grad_(config.gradient_penalty > 0)
    real, fake = network.log_odds(rows), network.log_odds(made)
    loss = total = discriminator_loss(real, fake)
    if config.gradient_penalty:
        (gradient,) = torch.autograd.grad(real.sum(), rows, create_graph=True)
        square = gradient.flatten(1).square().sum(dim=1).mean()
        total = loss + 0.5 * config.gradient_penalty * square
    right = 0.5 * ((real > 0).float().mean() + (fake < 0).float().mean())
    scalars = {"discriminator_loss": loss, "discriminator_accuracy": right}
    return Turn(scalars, loss=total, player="discriminator", size=len(rows))
