"""LSTM language model: a memory of all symbols so far predicts the next.

    log P(w | past) = x_w' (P h_t + p) + b_w - log sum_v exp(likewise)
    h_t = LSTM(past)

No symbol is too far back to count. The vectors that symbols are read as are those that
they are predicted by, where `tied` (Press and Wolf 2017, "Using the output embedding").

Source: Deep learning cheat sheet, sections 15.2 and 15.3; Zaremba et al. 2014,
"Recurrent neural network regularization".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.data.ragged import Ragged, check_vocabulary, offsets_of, shifted
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.families.text._windows import check_symbols
from ftml.nn.inputs import tensor
from ftml.nn.language_networks import LSTMLanguage, summed_loss
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunk_size, chunks_by_length, loaded
from ftml.training import run

TASK = "language_model"
CHUNK = 64


class Config(TrainingConfig):
    units: Annotated[int, Field(ge=1)] = 128
    "of a layer"

    n_layers: Annotated[int, Field(ge=1)] = 1
    "layers, each given the states of the one below"

    dimension: Annotated[int, Field(ge=1)] = 128
    "dimension of a symbol's vector"

    tied: bool = True
    "the same vectors for the input and the output"

    n_epochs: Annotated[int, Field(ge=1)] = 6
    "passes over the text"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    "probability that a number between layers is dropped in training"


@dataclass(frozen=True)
class Model:
    options: Mapping[str, Any]
    weights: dict[str, Tensor]
    vocabulary: tuple[str, ...]

    def log_prob(self, X: Ragged) -> np.ndarray:
        """Return the log-probability of each symbol and each end, (N + n,), in nats."""
        check_vocabulary(X.vocabulary, self.vocabulary, what="texts")
        network, where = loaded(LSTMLanguage(**self.options), self.weights)
        ends = offsets_of(X.lengths + 1)
        found = np.empty(ends[-1])
        with torch.inference_mode():
            for index in chunks_by_length(X.lengths, CHUNK):
                x, y, mask = shifted(X, index)
                states = network.states(tensor(x, where), tensor(mask, where))
                each = -_losses(network, states, tensor(y[mask], where)).cpu().numpy()
                sizes = mask.sum(axis=1)
                parts = np.split(each, np.cumsum(sizes)[:-1])
                for i, part in zip(index, parts, strict=True):
                    found[ends[i] : ends[i + 1]] = part
        return found


def _losses(network: LSTMLanguage, states: Tensor, target: Tensor) -> Tensor:
    """Return -log P(target), (m,) float64, for states (m, d), in chunks of rows."""
    size = chunk_size(len(network.bias), len(target))
    parts = zip(states.split(size), target.split(size), strict=True)
    return torch.cat(
        [
            F.cross_entropy(network.logits(part).double(), symbols, reduction="none")
            for part, symbols in parts
        ]
    )


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; ValueError for sequences without a vocabulary."""
    X = data.train.X
    check_symbols(X)
    options: dict[str, Any] = {
        "n_symbols": len(X.vocabulary) + 1,
        "d": config.dimension,
        "units": config.units,
        "n_layers": config.n_layers,
        "tied": config.tied,
        "dropout": config.dropout,
    }

    def loss(network: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        x, y, mask = shifted(X, index)
        states, target = network.states(tensor(x), tensor(mask), draw), tensor(y[mask])
        return summed_loss(network, states, target), len(target)

    problem = length_problem(
        config,
        X.lengths,
        lambda generator: LSTMLanguage(**options, generator=generator),
        loss,
        partial(Model, options, vocabulary=X.vocabulary),
    )
    yield from run(config, problem, state)
