"""Successive halving from all reports at once, as it is defined, for tests."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping

from pipelines.study.pruning import PruningDecision, cost
from pipelines.study.record import Trial


def decide(
    trials: Mapping[int, Trial], *, metric: str, mode: str, grace: int, factor: int
) -> dict[int, PruningDecision]:
    """Return the decision on every trial under successive halving, by trial index.

    Rungs are at grace, grace x factor, grace x factor^2, ... steps. Among the trials
    0..i that reach a rung, trial i passes it when fewer than ceil(count / factor) of
    the earlier ones are strictly better. A value that is not finite is worse than any
    finite one.
    """
    decisions = {index: PruningDecision() for index in trials}
    longest = max((trial.last for trial in trials.values()), default=0)
    rung = grace
    while rung <= longest:
        _decide_rung(decisions, trials, rung, metric=metric, mode=mode, factor=factor)
        rung *= factor
    return decisions


def _decide_rung(
    decisions: dict[int, PruningDecision],
    trials: Mapping[int, Trial],
    rung: int,
    *,
    metric: str,
    mode: str,
    factor: int,
) -> None:
    """Decide one rung in the order of the trials; update `decisions` in place."""
    costs: list[float] = []  # of the trials that reached the rung, sorted
    earlier_pending = False
    for index in range(max(trials) + 1):
        trial = trials.get(index)
        if trial is None:
            earlier_pending = True
            continue
        if decisions[index].pruned or (trial.ended and trial.last < rung):
            continue
        if earlier_pending or decisions[index].pending or rung not in trial.steps:
            step = min(rung, decisions[index].step)
            decisions[index] = PruningDecision.pending_at(step)
            earlier_pending = True
            continue
        value = cost(trial.steps[rung].get(metric, math.nan), mode)
        better = bisect_left(costs, value)
        costs.insert(better, value)
        if better >= math.ceil(len(costs) / factor):
            decisions[index] = PruningDecision.pruned_at(rung)
