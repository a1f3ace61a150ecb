"""Bidirectional LSTM: one LSTM reads a sequence forwards, another backwards.

    P(y | x) = softmax(V pool([h_t forwards, h_t backwards]) + c)_y

Each sequence is read backwards from its own end, whatever it was padded to.

Source: Deep learning cheat sheet, section 16 (bidirectional encoder); Schuster and
Paliwal 1997, "Bidirectional recurrent neural networks".
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
    yield from train_recurrent(config, data, state, cell="lstm", bidirectional=True)
