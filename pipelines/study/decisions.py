"""The pruning decisions of a search: successive halving (`pruning`) for each fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipelines.study.plan import Search
from pipelines.study.pruning import PruningDecision, SuccessiveHalving
from pipelines.study.record import Record


class SearchDecisions(Mapping[int, PruningDecision]):
    """The decisions on the trials of a search that have started, by index.

    `update` is to be called after each change of the record that reaches a rung or ends
    a trial.
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


def pruning_decisions(search: Search, record: Record) -> dict[int, PruningDecision]:
    """Return the decisions on the trials of a search that have started, by index."""
    return dict(SearchDecisions(search, record))
