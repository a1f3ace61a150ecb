"""Trains many configurations at once, as stacks.

Configurations that differ only in the seed, the learning rate and the penalties l1 and
l2 become one network whose parameters are stacked, (M, ...), so that one pass updates
all of them. Each entry of a stack draws the random numbers that it would draw alone,
from its own generator. The groups depend only on the configurations and states, so
training is deterministic; a step equals that of `run` up to rounding.

Axes: M entries of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import torch

from ftml.core import State, Step, device
from ftml.training.loop import Loop, Rates, run
from ftml.training.problem import Problem

OWN = ("seed", "learning_rate", "l1", "l2")
"Fields in which the entries of one stack may differ."

LARGEST = 50_000
"Parameters of a network in a stack: larger networks train faster one by one."


def run_many(
    configs: Sequence[Any],
    problem_of: Callable[[Any], Problem],
    states: Sequence[State | None] | None,
) -> Iterator[list[Step | None]]:
    """Yield after each epoch of all configurations, None for one that has ended.

    configs: have the fields `OWN`.
    """
    states = list(states or [None] * len(configs))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, (config, state) in enumerate(zip(configs, states, strict=True)):
        shared = config.model_dump_json(exclude=set(OWN))
        # Early stopping ends entries at different epochs: each then trains alone.
        alone = i if config.patience is not None else None
        groups.setdefault((shared, state and state["n"], alone), []).append(i)
    runs = [
        _run_group([configs[i] for i in group], problem_of, [states[i] for i in group])
        for group in groups.values()
    ]
    for found in zip_longest(*runs):
        steps: list[Step | None] = [None] * len(configs)
        for group, each in zip(groups.values(), found, strict=True):
            for i, step in zip(group, each or [None] * len(group), strict=True):
                steps[i] = step
        yield steps


def _run_group(
    configs: Sequence[Any],
    problem_of: Callable[[Any], Problem],
    states: Sequence[State | None],
) -> Iterator[list[Step]]:
    """Yield after each epoch of configurations that make one stack."""
    problem = problem_of(configs[0])
    if len(configs) == 1 or _n_parameters(problem) > LARGEST:
        runs = [
            run(c, replace(problem, l1=c.l1, l2=c.l2), s)
            for c, s in zip(configs, states, strict=True)
        ]
        yield from map(list, zip(*runs, strict=True))
        return
    loop = Loop(configs, problem, rates=_rates_of(configs))
    given = [state for state in states if state is not None]
    if given:
        loop.resume(given)
    else:
        loop.start()
    while not loop.ended:
        metrics = loop.epoch()
        yield [loop.step(each, i) for i, each in enumerate(metrics)]


def _rates_of(configs: Sequence[Any]) -> Rates:
    """Return the rates of the entries of a stack, (M,) each."""
    learning_rate, l1, l2 = (
        torch.tensor([getattr(each, name) for each in configs], device=device())
        for name in ("learning_rate", "l1", "l2")
    )
    return Rates(learning_rate, l1, l2, lead=1)


def _n_parameters(problem: Problem) -> int:
    """Return the number of parameters of a problem's network."""
    return sum(each.numel() for each in problem.network(None).parameters())
