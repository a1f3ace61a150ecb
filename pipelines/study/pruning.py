"""Deterministic successive halving: which trials of a search are pruned, and where.

ASHA (Li et al. 2020) lets a trial continue past a rung when it is among the best
1/eta of the trials that have reached the rung *so far*. With several workers, "so far"
depends on timing: two runs of the same study prune different trials and may choose
different configurations. Here, trial i is compared only with trials of lower index, and
the decision stays pending until these have reported. A trial keeps training while its
decision is pending; what it reports beyond a rung that it does not pass is discarded.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pipelines.study.record import Trial


class PruningState(Enum):
    """What is decided about a trial."""

    CONTINUE = "continue"
    "no rung is undecided: every step of the trial counts"

    PENDING = "pending"
    "a rung is undecided, since trials of lower index have not reported it"

    PRUNED = "pruned"
    "the trial does not pass a rung"


@dataclass(frozen=True)
class PruningDecision:
    """The state of a trial, and the last step whose metrics count.

    `step` is the rung that is undecided (PENDING) or not passed (PRUNED), and infinity
    for a trial that continues.
    """

    state: PruningState = PruningState.CONTINUE
    step: float = math.inf

    @property
    def pruned(self) -> bool:
        """Whether the trial is stopped for good."""
        return self.state is PruningState.PRUNED

    @property
    def pending(self) -> bool:
        """Whether a rung is undecided."""
        return self.state is PruningState.PENDING

    @classmethod
    def pending_at(cls, step: float) -> PruningDecision:
        """Return the decision of a trial whose rung at `step` is undecided."""
        return cls(PruningState.PENDING, step)

    @classmethod
    def pruned_at(cls, step: float) -> PruningDecision:
        """Return the decision of a trial that does not pass the rung at `step`."""
        return cls(PruningState.PRUNED, step)


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


def cost(value: float, mode: str) -> float:
    """Return a value to be minimised; infinity for one that is not finite."""
    if not math.isfinite(value):
        return math.inf
    return value if mode == "min" else -value
