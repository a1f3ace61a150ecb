"""What the scheduler does with a report, without Ray."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.plan import Assignment, Search
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record
from pipelines.tuning import driver
from pipelines.tuning.coordinator import TuneSession
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, StudyQueue


def test_who_is_notified_of_a_report_gets_the_decision_that_it_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "get", lambda found: found)
    search = Search(
        folder=tmp_path,
        family="ridge",
        config={},
        trials=tuple(Assignment((), {}) for _ in range(4)),
        metric="mse",
        mode="min",
        resources=Resources(),
        batch_size=2,
        early_stopping=EarlyStopping(grace=1, reduction_factor=2),
    )
    seen: list[tuple[int, PruningDecision]] = []

    def update(
        record: Record, decisions: Mapping[int, PruningDecision], index: int
    ) -> None:
        seen.append((index, decisions[index]))

    def study() -> StudyCoroutine:
        yield SearchRequest(search, lambda fold: None, update)

    queue = StudyQueue([study()])
    published = []
    publish = SimpleNamespace(remote=lambda name, found: published.append(set(found)))
    session = TuneSession(queue, SimpleNamespace(publish=publish), str(tmp_path))
    queue.next_batch()
    for index in range(4):
        queue.active[0].record.start(index, {})
    scheduler = driver.PruningScheduler(session)

    def report(batch: int, costs: Mapping[int, float]) -> None:
        trial: Any = SimpleNamespace(
            config={"search": search.name, "batch": batch}, trial_id=str(batch)
        )
        rows = [
            {"trial": index, "n": 1, "seconds": 0.1, "metrics": {"valid_mse": cost}}
            for index, cost in costs.items()
        ]
        scheduler.on_trial_result(None, trial, {"rows": rows})

    report(1, {2: 5.0, 3: 0.5})
    report(0, {0: 1.0, 1: 2.0})
    pending, pruned = PruningDecision.pending_at(1), PruningDecision.pruned_at(1)
    on = PruningDecision()
    assert seen == [(2, pending), (3, pending), (0, on), (1, pruned)]
    assert published == [{0, 1, 2, 3}]
