"""Simple recurrent network: tanh states over the times of a sequence.

    h_t = tanh(U h_{t-1} + W x_t + b),  h_0 = 0,   P(y | x) = softmax(V pool(h) + c)_y

The gradient at t has come back through a product of diag(1 - h^2) U: it vanishes, or
explodes and is clipped (figure `gradient_by_time`). Backpropagation through time by
hand is in `ftml/nn/bptt.py`; training uses torch's.

Source: Deep learning cheat sheet, section 15.3; Homework 4 answers, problem 2; Elman
1990, "Finding structure in time".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.config import Integers
from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.families.sequence._classifier import Model
from ftml.families.sequence._recurrent import (
    RecurrentConfig,
    figures,
    train_recurrent,
)

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "classification"
DATA = (Sequences,)


class Config(RecurrentConfig):
    """How the network is made and trained: without gates it needs more units and time
    than the others.
    """

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "passes over the sequences"

    units: Annotated[int, Field(ge=1), Integers(16, 256)] = 128
    "units of a layer, in each direction"


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    yield from train_recurrent(config, data, state, cell="rnn")
