"""Transformer: reads and writes by attention alone, without a state that goes along.

    softmax(Q K' / sqrt(d_head)) V

in several heads: each symbol of the source looks at all of them, each symbol of the
target at those before it and at the source. Sines and cosines encode the positions.
Layers normalise what they are given ("pre-norm"), so that no warm-up is needed.

Source: Deep learning cheat sheet, section 16.3 (attention); Vaswani et al. 2017,
"Attention is all you need"; Xiong et al. 2020, "On layer normalization in the
transformer architecture".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ftml.config import LogUniform
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
    heads: Annotated[int, Field(ge=1)] = 4
    "of each attention"

    n_layers: Annotated[int, Field(ge=1)] = 2
    "layers that read, and as many that write"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(5e-4, 3e-3)] = 1e-3
    "step size of Adam"


def train(
    config: Config, data: Splits[Pairs], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch;
    ValueError for a dimension that is odd or no multiple of the heads.
    """
    options = {"heads": config.heads}
    yield from train_transducer(config, data, state, "transformer", options)
