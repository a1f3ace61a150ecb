"""The pruning decisions of a search while its trials report, updated report by report.

`pipelines.study.pruning.decide` computes the same decisions from all reports at once,
which takes time proportional to the number of trials. Here, a report costs the same
time however many trials the search has: trials are decided in the order of their
indices, so each rung has one trial that comes next, and a decision is never changed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.study.plan import Search
from pipelines.study.pruning import PruningDecision, cost
from pipelines.study.record import Record, Trial


@dataclass
class _Rung:
    step: int
    next: int = 0
    "position of the first trial that is not decided here"

    costs: list[float] = field(default_factory=list)
    "of the trials that are decided here, sorted"


class SuccessiveHalving:
    """The decisions on the trials of one fold.

    indices: the trials in the order in which they are compared.
    trials: by index, those that have started; it grows, and so do their steps.
    metric, mode, grace, factor: as of `pipelines.study.pruning.decide`.
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


class SearchDecisions(Mapping[int, PruningDecision]):
    """The decisions on the trials of a search that have started, by index.

    They are those of `pipelines.study.plan.pruning_decisions`, if `update` is called
    after each change of the record that reaches a rung or ends a trial.
    """

    def __init__(self, search: Search, record: Record) -> None:
        self._record = record
        self._fold_of: dict[int, SuccessiveHalving] = {}
        if search.early_stopping is not None:
            for indices in search.by_fold.values():
                of_fold = SuccessiveHalving(
                    indices,
                    record.trials,
                    metric=f"valid_{search.metric}",
                    mode=search.mode,
                    grace=search.early_stopping.grace * search.report_every,
                    factor=search.early_stopping.reduction_factor,
                )
                self._fold_of |= dict.fromkeys(indices, of_fold)
        for index in record.trials:
            self.update(index)

    def update(self, index: int) -> set[int]:
        """Take a change of a trial; return the trials that are decided by it."""
        found = self._fold_of.get(index)
        return found.update(index) if found else set()

    def __getitem__(self, index: int) -> PruningDecision:
        if index not in self._record.trials:
            raise KeyError(index)
        found = self._fold_of.get(index)
        return found.decision(index) if found else PruningDecision()

    def __iter__(self) -> Iterator[int]:
        return iter(self._record.trials)

    def __len__(self) -> int:
        return len(self._record.trials)
