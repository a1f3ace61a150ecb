"""Successive halving whose decisions do not depend on who reports first.

ASHA (Li et al. 2020) lets a trial go on past a rung when it is in the top 1/eta of
those that have reached that rung *so far*. With several workers "so far" is a matter of
timing: two runs of one study stop different trials and may choose different
configurations. Here trial i is compared with the trials of lower index only, and the
decision waits until these are known. Nobody waits idle: the trial trains on meanwhile,
and what it reports beyond a rung that it turns out not to pass is discarded.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.study.record import Trial


@dataclass(frozen=True)
class Limit:
    """How far a trial counts: to step `n`, and whether it is `stopped` there for good.

    While a decision is open, `n` is the rung that it is about and `stopped` is False; a
    trial that no decision binds has n = infinity.
    """

    n: float = math.inf
    stopped: bool = False

    @property
    def settled(self) -> bool:
        """Whether no decision is open."""
        return self.stopped or self.n == math.inf


def limits(
    trials: Mapping[int, Trial], *, metric: str, mode: str, grace: int, factor: int
) -> dict[int, Limit]:
    """Return the limit of every trial under successive halving.

    Rungs stand at grace, grace x factor, grace x factor^2, ... steps. Of the trials
    0..i that reach a rung, i goes on when fewer than ceil(count / factor) of the
    earlier ones are strictly better; a value that is not a number is worse than any.
    """
    found = {index: Limit() for index in trials}
    longest = max((trial.last for trial in trials.values()), default=0)
    rung = grace
    while rung <= longest:
        seen: list[float] = []  # in order
        open_before = False
        for index in range(max(trials) + 1):
            trial = trials.get(index)
            if trial is None:
                open_before = True
                continue
            if found[index].stopped or (trial.ended and trial.last < rung):
                continue
            if open_before or found[index].n < math.inf or rung not in trial.steps:
                found[index] = Limit(min(rung, found[index].n))
                open_before = True
                continue
            value = _cost(trial.steps[rung].get(metric, math.nan), mode)
            better = bisect_left(seen, value)
            seen.insert(better, value)
            if better >= math.ceil(len(seen) / factor):
                found[index] = Limit(rung, stopped=True)
        rung *= factor
    return found


def _cost(value: float, mode: str) -> float:
    """Return what is to be small; infinity for a value that is not a number."""
    if not math.isfinite(value):
        return math.inf
    return value if mode == "min" else -value
