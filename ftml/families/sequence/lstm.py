"""LSTM: a recurrent network whose gates say what a memory takes in, keeps and shows.

    i, f, o = s(W x_t + U h_{t-1} + b),  g = tanh(likewise)
    c_t = f c_{t-1} + i g,   h_t = o tanh(c_t),   P(y | x) = softmax(V pool(h) + c)_y

Where f is near 1 the gradient goes back through the memory as it is, so that it need
not vanish (figure `gradient_by_time`).

Source: Homework 4 answers, problem 1; Deep learning cheat sheet, section 16 (by name);
Hochreiter and Schmidhuber 1997, "Long short-term memory".
"""

from __future__ import annotations

from collections.abc import Iterator

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
    """How the network is made and trained."""


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    yield from train_recurrent(config, data, state, cell="lstm")
