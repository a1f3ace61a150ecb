"""Convolutional network for text: filters over a few words, the largest answer of each.

    c_t = relu(F [x_t; ...; x_(t+w-1)] + b),   z = max over t of c_t
    P(y | text) = softmax(V z + c)_y

A filter sees w words at once, whose vectors stand one behind the other, and moves by a
word. Most parameters are in the vectors, as the notes say: the figure `parameters`
counts them. The vectors begin at random or as an embedding's, and stay or are tuned.

Source: Deep learning cheat sheet, section 15.2.1; Kim 2014, "Convolutional neural
networks for sentence classification".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.families.sequence._classifier import Model
from ftml.families.text._networks import TextConfig, figures, text_problem
from ftml.training import run

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "classification"
DATA = (Sequences,)


class Config(TextConfig):
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (
        3,
        4,
        5,
    )
    "words that a filter sees; each width has filters of its own"

    channels: Annotated[int, Field(ge=1)] = 64
    "filters of each width"


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; ValueError for sequences that are no texts."""
    problem = text_problem(config, data.train, "text_cnn")
    yield from run(config, problem, state)
