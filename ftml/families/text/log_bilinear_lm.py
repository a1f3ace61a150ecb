"""Log-bilinear language model: vectors of the last symbols predict the next.

    log P(w | past) = x_w' z_past + b_w - log sum_v exp(x_v' z_past + b_v)
    z_past = sum_j C_j r_{w_(t-j)} + c

Each of the last symbols has a vector r, and each place a matrix C. Words that never
followed each other may then be probable, where their vectors are near others that did.

Source: Deep learning cheat sheet, section 15.2; Mnih and Hinton 2007, "Three new
graphical models for statistical language modelling".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.data.ragged import Ragged, check_vocabulary
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.families.text._windows import check_symbols, windows
from ftml.nn.inputs import tensor
from ftml.nn.language_networks import LogBilinear
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunk_size, in_chunks, loaded
from ftml.training import run

TASK = "language_model"
CHUNK = 2048
"Windows that are predicted at once, unless the vocabulary is large."


class Config(TrainingConfig):
    n_past: Annotated[int, Field(ge=1)] = 4
    "symbols that predict the next; 4 as in 5-grams"

    dimension: Annotated[int, Field(ge=1)] = 64
    "dimension of a vector"

    batch_size: Annotated[int, Field(ge=1)] = 256
    "windows of an update"

    n_epochs: Annotated[int, Field(ge=1)] = 5
    "passes over the text"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    "probability that a number of z is dropped in training"


@dataclass(frozen=True)
class Model:
    options: Mapping[str, Any]
    weights: dict[str, Tensor]
    vocabulary: tuple[str, ...]

    def log_prob(self, X: Ragged) -> np.ndarray:
        """Return the log-probability of each symbol and each end, (N + n,), in nats."""
        check_vocabulary(X.vocabulary, self.vocabulary, what="texts")
        grams = windows(X, self.options["n_past"] + 1)
        network, where = loaded(LogBilinear(**self.options), self.weights)

        def log_prob(rows: slice) -> Tensor:
            part = tensor(grams[rows], where)
            logits = network(part[:, :-1]).double()
            return -F.cross_entropy(logits, part[:, -1], reduction="none")

        size = chunk_size(len(self.vocabulary) + 1, CHUNK)
        return in_chunks(log_prob, len(grams), size=size).numpy()


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; ValueError for sequences without a vocabulary."""
    X = data.train.X
    check_symbols(X)
    grams = windows(X, config.n_past + 1)
    options: dict[str, Any] = {
        "n_symbols": len(X.vocabulary) + 1,
        "d": config.dimension,
        "n_past": config.n_past,
        "dropout": config.dropout,
    }

    def loss(network: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        part = tensor(grams[index])
        logits = network(part[:, :-1], draw)
        return F.cross_entropy(logits, part[:, -1], reduction="sum"), len(index)

    problem = length_problem(
        config,
        np.ones(len(grams), np.int64),
        lambda generator: LogBilinear(**options, generator=generator),
        loss,
        partial(Model, options, vocabulary=X.vocabulary),
    )
    yield from run(config, problem, state)
