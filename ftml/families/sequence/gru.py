"""Gated recurrent unit: an LSTM with one gate less and no memory of its own.

    r, z = s(W x_t + U h_{t-1} + b),   n = tanh(W x_t + b + r (U h_{t-1} + b_U))
    h_t = (1 - z) n + z h_{t-1},   P(y | x) = softmax(V pool(h) + c)_y

The reset gate r is applied after the product with U, as torch and cuDNN do it.

Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder";
Deep learning cheat sheet, section 15.2, names gated units only.
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
    yield from train_recurrent(config, data, state, cell="gru")
