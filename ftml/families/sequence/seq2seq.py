"""Sequence to sequence: one LSTM reads the source, another writes the target from it.

    P(y | x) = prod_u P(y_u | y_1 ... y_(u-1), s(x))

All that the decoder knows of the source is the state s(x) that the encoder ended in.
Read from its end, the source has its first symbols near the first of the target, which
is easier to learn. The target is found by beam search.

Source: Deep learning cheat sheet, section 16.3; Sutskever et al. 2014, "Sequence to
sequence learning with neural networks".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Pairs, Splits
from ftml.families.sequence._transduction import (
    Model,
    TransductionConfig,
    train_transducer,
)

__all__ = ["TASK", "Config", "Model", "train"]

TASK = "transduction"


class Config(TransductionConfig):
    units: Annotated[int, Field(ge=1)] = 128
    "of a layer"

    reverse: bool = True
    "read the source from its end"


def train(
    config: Config, data: Splits[Pairs], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    options = {"units": config.units, "reverse": config.reverse, "attention": False}
    yield from train_transducer(config, data, state, "encoder_decoder", options)
