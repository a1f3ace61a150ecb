"""Sequence to sequence with attention: the decoder looks at what was read as it writes.

    a_us = softmax_s(h_u' W e_s)
    P(y_u | ...) = softmax(V tanh(C [sum_s a_us e_s; h_u]))

e_s are the states of an LSTM that reads in both directions, h_u those of the decoder:
what is relevant of the past is chosen in hindsight, symbol by symbol (figure
`attention`), and need not fit into one state.

Source: Deep learning cheat sheet, section 16.3; Bahdanau et al. 2015, "Neural machine
translation by jointly learning to align and translate"; Luong et al. 2015, "Effective
approaches to attention-based neural machine translation", whose general score it is.
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
    figures,
    train_transducer,
)

__all__ = ["TASK", "Config", "Model", "figures", "train"]

TASK = "transduction"


class Config(TransductionConfig):
    units: Annotated[int, Field(ge=1)] = 128
    "of a layer"


def train(
    config: Config, data: Splits[Pairs], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    options = {"units": config.units, "reverse": False, "attention": True}
    yield from train_transducer(config, data, state, "encoder_decoder", options)
