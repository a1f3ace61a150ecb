"""MADE: a fully visible belief net, each value given those before it, by one network.

    log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1})

Masks on the weights hide from output i all but the inputs before i, so that one pass
gives all factors, and the probability is exact: over all 2^d rows it sums to one.
Samples are generated value by value. Where a hidden layer has fewer units than rows
have values, direct weights from each value to the later ones are learnt as well
(`ftml/nn/made.py`), so that every earlier value matters. Values are 0 and 1, pixels
black and white, in their order in a row, of images line by line.

Source: Deep learning cheat sheet, section 19, the taxonomy of generative models;
Germain et al. 2015, "MADE: masked autoencoder for distribution estimation".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.core import State, Step, device
from ftml.data import Images, Splits, Table
from ftml.data.checks import check_array, check_rows
from ftml.families.generative._autoencoder import Size
from ftml.families.generative._training import TrainingConfig, rows_problem
from ftml.nn.activations import Activation
from ftml.nn.layers import Draw
from ftml.nn.made import MADE
from ftml.nn.prediction import in_chunks, loaded, rows_at_once
from ftml.training import Turn, run

TASK = "generation"
DATA = (Images, Table)


class Config(TrainingConfig):
    hidden: Annotated[tuple[Size, ...], Field(min_length=1)] = (256,)
    "units of the hidden layers; any number"

    activation: Activation = "relu"
    "of the hidden units"


@dataclass(frozen=True)
class Model:
    hidden: tuple[int, ...]
    "units of the hidden layers"

    activation: str
    "of the hidden units"

    weights: dict[str, Tensor]
    "its parameters, float32"

    shape: tuple[int, ...]
    "of one row as data have it: (d,), or (H, W) or (H, W, 3) of images"

    def _network(self) -> tuple[Any, torch.device]:
        d = int(np.prod(self.shape))
        if min(self.hidden) < d - 1 and "direct" not in self.weights:
            raise ValueError(
                f"the model of {d} values with layers of {tuple(self.hidden)} units "
                "was trained by a version of ftml that ignored values; train it again"
            )
        network = MADE(d, hidden=self.hidden, activation=self.activation)
        return loaded(network, self.weights)

    def log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) of each row, (n,) nats: exact.

        Raises ValueError for values that are neither 0 nor 1, or neither black nor
        white, and for rows of another shape.
        """
        network, where = self._network()
        self._check(X)
        bits = as_bits(X)

        def chunk(rows: slice) -> Tensor:
            return log_probability(network, torch.from_numpy(bits[rows]).to(where))

        return in_chunks(chunk, len(X), size=rows_at_once(self.shape)).numpy()

    def _check(self, X: np.ndarray) -> None:
        shape = tuple(self.shape)
        if len(shape) == 1:
            check_rows(X, shape[0])
            return
        check_array(X, "X")
        if X.shape[1:] != shape:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, the model was fitted on {shape}"
            )

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Return n samples in the form of the data, generated value by value."""
        network, where = self._network()
        generator = torch.Generator().manual_seed(seed)
        x = network.sample(n, lambda: torch.rand(n, generator=generator).to(where))
        bits = x.cpu().numpy().reshape(n, *self.shape)
        if len(self.shape) == 1:
            return bits.astype(np.float64)
        return (255 * bits).astype(np.uint8)


def as_bits(X: np.ndarray) -> np.ndarray:
    """Return rows (n, d) float32 of 0 and 1; ValueError for anything else."""
    top = 255 if X.dtype == np.uint8 else 1
    other = X[np.not_equal(X, 0) & np.not_equal(X, top)]
    if other.size:
        raise ValueError(
            f"expected values of 0 and {top}, got {other[0]:g}; `binarize` of the "
            "dataset makes them"
        )
    return (X.reshape(len(X), math.prod(X.shape[1:])) == top).astype(np.float32)


def log_probability(network: MADE, x: Tensor) -> Tensor:
    """Return log p(x) of each row, (B,), for x (B, d) of zeros and ones."""
    each = F.binary_cross_entropy_with_logits(network(x), x, reduction="none")
    return -each.sum(dim=1)


def _turns(network: MADE, x: Tensor, draw: Draw) -> Iterator[Turn]:
    """Yield the one turn of an update."""
    loss = -log_probability(network, x).mean()
    yield Turn({"loss": loss}, loss=loss, size=len(x))


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for values that are not binary."""
    X = data.train.X
    x = torch.from_numpy(as_bits(X)).to(device())

    def network(generator: torch.Generator | None) -> MADE:
        return MADE(
            x.shape[1],
            hidden=config.hidden,
            activation=config.activation,
            generator=generator,
        )

    def model(weights: dict[str, Tensor], record: State) -> Model:
        return Model(config.hidden, config.activation, weights, X.shape[1:])

    problem = rows_problem(config, x, network, _turns, model)
    yield from run(config, problem, state)
