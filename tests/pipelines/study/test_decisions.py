"""Pruning decisions that are updated report by report, against those from scratch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.decisions import SearchDecisions, pruning_decisions
from pipelines.study.plan import Assignment, Search
from pipelines.study.pruning import PruningDecision, SuccessiveHalving
from pipelines.study.record import Record, Trial
from tests.pipelines.study.halving_from_scratch import decide

values = st.floats(0, 9, width=16) | st.just(math.nan)
curves = st.lists(st.lists(values, max_size=9), min_size=1, max_size=8)


@given(
    curves,
    st.integers(1, 3),
    st.integers(2, 3),
    st.sampled_from(["min", "max"]),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_decisions_updated_report_by_report_are_those_of_all_reports(
    drawn: list[list[float]], grace: int, factor: int, mode: str, data: st.DataObject
) -> None:
    rule: dict[str, Any] = {
        "metric": "valid_mse", "mode": mode, "grace": grace, "factor": factor
    }  # fmt: skip
    trials: dict[int, Trial] = {}
    halving = SuccessiveHalving(range(len(drawn)), trials, **rule)
    left = {index: len(curve) + 2 for index, curve in enumerate(drawn)}
    while left:
        index = data.draw(st.sampled_from(sorted(left)))
        before = {i: halving.decision(i) for i in trials}
        trial = trials.setdefault(index, Trial({}))
        if left[index] == 1:
            trial.ended = True
        elif left[index] <= len(drawn[index]) + 1:
            n = len(trial.steps) + 1
            trial.steps[n] = {"valid_mse": drawn[index][n - 1]}
        left[index] -= 1
        if not left[index]:
            del left[index]
        decided = halving.update(index)
        found = {i: halving.decision(i) for i in trials}
        assert found == decide(trials, **rule)
        newly_pruned = {i for i in before if found[i].pruned and not before[i].pruned}
        assert newly_pruned <= decided


class Counted(dict[int, Trial]):
    """Trials that count how often one is looked up."""

    looked_up = 0

    def get(self, key: int, default: Any = None) -> Any:
        self.looked_up += 1
        return super().get(key, default)


def test_the_cost_of_a_report_does_not_grow_with_the_number_of_trials() -> None:
    def lookups(n: int) -> int:
        trials = Counted()
        halving = SuccessiveHalving(
            range(n), trials, metric="valid_mse", mode="min", grace=1, factor=2
        )
        for index in range(n):
            steps = {k: {"valid_mse": float(index % 7)} for k in (1, 2)}
            trials[index] = Trial({}, steps=steps, ended=True)
            halving.update(index)
        return trials.looked_up

    assert lookups(400) < 2.1 * lookups(200)


def test_the_decisions_of_a_search_compare_trials_of_one_fold(tmp_path: Path) -> None:
    folds = [("a",), ("b",)]
    search = Search(
        folder=tmp_path,
        family="ridge",
        config={},
        trials=tuple(Assignment(fold, {}) for _ in range(3) for fold in folds),
        metric="mse",
        mode="min",
        resources=Resources(),
        early_stopping=EarlyStopping(grace=1),
    )
    record = Record(tmp_path / "record.jsonl")
    decisions = SearchDecisions(search, record)
    for index, value in enumerate([1.0, 9.0, 2.0, 8.0, 3.0]):
        record.start(index, {}, search.trials[index].fold)
        record.step(index, 1, {"valid_mse": value}, 1.0)
        decisions.update(index)
        assert dict(decisions) == pruning_decisions(search, record)
    pruned = PruningDecision.pruned_at(1)
    assert [decisions[i] == pruned for i in range(5)] == [0, 0, 1, 0, 1]
    assert dict(SearchDecisions(search, record)) == dict(decisions)
    assert 5 not in decisions
