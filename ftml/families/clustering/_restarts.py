"""Many configurations of restarts at once: which are active, and the last model of
each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftml.core import State, Step, TrainMany
from ftml.data import Splits


def going(configs: Sequence[Any], states: Sequence[State]) -> list[int]:
    """Return which configurations have steps left and an unfinished restart."""
    return [
        i
        for i, (config, state) in enumerate(zip(configs, states, strict=True))
        if state["n"] < config.n_iterations and not state["done"].all()
    ]


def last_steps(
    train_many: TrainMany, configs: Sequence[Any], data: Splits
) -> list[Step]:
    """Return the last step of each configuration."""
    last: dict[int, Step] = {}
    for steps in train_many(configs, data, None):
        last |= {i: step for i, step in enumerate(steps) if step}
    return [last[i] for i in range(len(configs))]
