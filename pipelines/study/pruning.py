"""Deterministic successive halving: which trials of a search are pruned, and where.

ASHA (Li et al. 2020) lets a trial continue past a rung when it is among the best
1/eta of the trials that have reached the rung *so far*. With several workers, "so far"
depends on timing: two runs of the same study prune different trials and may choose
different configurations. Here, trial i is compared only with trials of lower index, and
the decision stays pending until these have reported. A trial keeps training while its
decision is pending; what it reports beyond a rung that it does not pass is discarded.

Trials are decided in the order of their indices, so each rung has one trial that comes
next, and a decision is never changed: a report costs the same time however many trials
a search has.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class _Rung:
    step: int
    next: int = 0
    "position of the first trial that is not decided here"

    costs: list[float] = field(default_factory=list)
    "of the trials that are decided here, sorted"


class SuccessiveHalving:
    """The decisions on the trials of one fold.

    Rungs are at grace, grace x factor, grace x factor^2, ... steps. Among the trials
    0..i that reach a rung, trial i passes it when fewer than ceil(count / factor) of
    the earlier ones are strictly better. A value that is not finite is worse than any
    finite one.

    indices: the trials in the order in which they are compared.
    trials: by index, those that have started; it grows, and so do their steps.
    """

    def __init__(
        self,
        indices: Sequence[int],
        trials: Mapping[int, Trial],
        *,
        metric: str,
        mode: str,
        grace: int,
        factor: int,
    ) -> None:
        self._indices, self._trials = indices, trials
        self._metric, self._mode, self._factor = metric, mode, factor
        self._position = {index: n for n, index in enumerate(indices)}
        self._rungs: list[_Rung] = []
        self._next_step = grace
        self._pruned: dict[int, PruningDecision] = {}

    def update(self, index: int) -> set[int]:
        """Take what a trial has reported; return the trials that are decided by it at
        any rung.
        """
        while self._next_step <= self._trials[index].last:
            self._rungs.append(_Rung(self._next_step))
            self._next_step *= self._factor
        decided: set[int] = set()
        for number in range(len(self._rungs)):
            decided |= self._advance(number)
        return decided

    def decision(self, index: int) -> PruningDecision:
        """Return the decision on a trial that has started."""
        if index in self._pruned:
            return self._pruned[index]
        trial, position = self._trials[index], self._position[index]
        for rung in self._rungs:
            if position >= rung.next and not _ends_before(trial, rung):
                return PruningDecision.pending_at(rung.step)
        return PruningDecision()

    def _advance(self, number: int) -> set[int]:
        """Decide at a rung the trials that can be decided; return them."""
        rung, decided = self._rungs[number], set[int]()
        while rung.next < len(self._indices):
            index = self._indices[rung.next]
            trial = self._trials.get(index)
            if trial is None:
                break
            if index not in self._pruned and not _ends_before(trial, rung):
                if rung.step not in trial.steps or self._is_pending(number):
                    break
                self._decide(index, trial, rung)
                decided.add(index)
            rung.next += 1
        return decided

    def _is_pending(self, number: int) -> bool:
        """Return whether the next trial of a rung is undecided at an earlier one."""
        position = self._rungs[number].next
        return any(position >= rung.next for rung in self._rungs[:number])

    def _decide(self, index: int, trial: Trial, rung: _Rung) -> None:
        value = cost(trial.steps[rung.step].get(self._metric, math.nan), self._mode)
        better = bisect_left(rung.costs, value)
        rung.costs.insert(better, value)
        if better >= math.ceil(len(rung.costs) / self._factor):
            self._pruned[index] = PruningDecision.pruned_at(rung.step)


def _ends_before(trial: Trial, rung: _Rung) -> bool:
    return trial.ended and trial.last < rung.step


def cost(value: float, mode: str) -> float:
    """Return a value to be minimised; infinity for one that is not finite."""
    if not math.isfinite(value):
        return math.inf
    return value if mode == "min" else -value
