"""What autoencoders share: the loss, penalties, the model and its figures.

    R = (1 / 2n) sum_i |x_i - H(G(x_i))|^2 + Omega,   z = G(x)

Axes: n rows, B batch, d values of a row, m dimension of a code.

Source: Deep learning cheat sheet, section 17.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ftml.core import State, device
from ftml.data import Images, Splits, Table
from ftml.families.generative._model import NETWORKS, as_data, decoded, mapped
from ftml.families.generative._training import TrainingConfig, rows_problem
from ftml.nn.activations import Activation
from ftml.nn.inputs import Inputs, inputs_of
from ftml.nn.layers import Draw
from ftml.nn.network_model import NetworkModel
from ftml.training import Problem, Turn

Size = Annotated[int, Field(ge=1)]
Penalty = Callable[[Any, Tensor, Tensor], Tensor]
"Of the network, a batch and its codes: (), what is added to the loss."
Options = Callable[[Inputs], Mapping[str, object]]
"Of the inputs: what a network is made with beside shape and code."


class AutoencoderConfig(TrainingConfig):
    """What every autoencoder has."""

    n_code: Size = 16
    "m, dimension of the code of a row"


class DenseConfig(AutoencoderConfig):
    """What autoencoders of dense layers have."""

    hidden: tuple[Size, ...] = (128,)
    "units of the encoder's hidden layers; the decoder's are in the reverse order"

    activation: Activation = "relu"
    "of the hidden units"


def dense(config: DenseConfig, **more: Any) -> Options:
    """Return the options of a network of dense layers; `more` beside the config's."""

    def options(inputs: Inputs) -> Mapping[str, object]:
        return {
            "hidden": config.hidden,
            "activation": config.activation,
            "pixels": inputs.scaling is None,
            **more,
        }

    return options


@dataclass(frozen=True)
class Model(NetworkModel):
    noise: float = 0.0
    "standard deviation of the noise that training adds, in units of scaled inputs"

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes (n, m) float64 of X, features or images."""
        return mapped(self, X, lambda network, x: network.encode(x))

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return what is made of the codes of X, of its shape and unit, float64."""
        rebuilt = mapped(self, X, lambda network, x: network.decode(network.encode(x)))
        return as_data(self, rebuilt)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return what is made of codes z (n, m), float64 in the data's units."""
        return as_data(self, decoded(self, z))

    def denoise(self, X: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return X with noise, and what is made of that, both as `reconstruct` does.

        Pixels with noise may leave 0 to 255.
        """
        generator = torch.Generator().manual_seed(seed)

        def both(network: Any, x: Tensor) -> Tensor:
            draw = Draw([generator], stacked=False)
            noisy = x + self.noise * draw.normal(x)
            return torch.stack([noisy, network.decode(network.encode(noisy))], dim=1)

        noisy, rebuilt = np.moveaxis(mapped(self, X, both), 1, 0)
        return as_data(self, noisy), as_data(self, rebuilt)


def problem_of(
    config: AutoencoderConfig,
    data: Splits[Images | Table],
    network: str,
    options: Options,
    *,
    penalty: Penalty | None = None,
    noise: float = 0.0,
    prepare: Callable[[Any, Tensor], None] | None = None,
) -> Problem:
    """Return the problem of an autoencoder.

    penalty: Omega. noise: the deviation
    of what is added to the inputs, not to what they are compared with. prepare: is
    given the network and the rows before training.
    """
    inputs = inputs_of(data.train)
    made = {"shape": inputs.shape, "code": config.n_code, **options(inputs)}

    def model(weights: dict[str, Tensor], record: State) -> Model:
        return Model(network, made, weights, inputs.shape, inputs.scaling, noise)

    return rows_problem(
        config,
        inputs.tensor(data.train.X).to(device()),
        network=lambda generator: NETWORKS[network](**made, generator=generator),
        turns=partial(_turns, penalty=penalty, noise=noise),
        model=model,
        prepare=prepare,
    )


def _turns(
    network: Any, x: Tensor, draw: Draw, *, penalty: Penalty | None, noise: float
) -> Iterator[Turn]:
    """Yield the one turn of an update."""
    given = x + noise * draw.normal(x) if noise else x
    z = network.encode(given)
    error = (x - network.decode(z)).square()
    loss = 0.5 * error.flatten(1).sum(dim=1).mean()
    scalars = {"loss": loss, "reconstruction_error": error.mean()}
    if penalty is not None:
        scalars["penalty"] = penalty(network, given, z)
        loss = loss + scalars["penalty"]
        scalars["loss"] = loss
    yield Turn(scalars, loss=loss, size=len(x))
