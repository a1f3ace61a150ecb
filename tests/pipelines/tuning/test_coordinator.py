"""What the driver puts into the object store, without Ray."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from pipelines.study.pruning import PruningDecision
from pipelines.tuning.coordinator import Coordinator, TuneSession
from pipelines.tuning.queue import StudyQueue


def test_data_that_several_searches_use_are_put_into_the_object_store_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put: list[Any] = []
    monkeypatch.setattr(ray, "put", lambda data: put.append(data) or len(put))
    session = TuneSession(StudyQueue([]), None, "")

    def one(fold: Any) -> Any: ...
    def other(fold: Any) -> Any: ...

    assert [session._reference(data) for data in (one, other, one)] == [1, 2, 1]
    session.advance()  # no search is active: the data of the last one are kept
    assert session._reference(one) == 1
    assert session._reference(other) == 3
    assert put == [one, other, other]


def test_workers_get_the_decisions_on_the_trials_that_they_ask_for() -> None:
    coordinator = Coordinator()
    pruned, on = PruningDecision.pruned_at(2), PruningDecision()
    assert coordinator.decisions("s", [0]) == {}
    coordinator.publish("s", {0: on, 1: PruningDecision.pending_at(2)})
    coordinator.publish("s", {1: pruned})
    assert coordinator.decisions("s", [1, 2]) == {1: pruned}
    assert coordinator.decisions("s", [0, 1]) == {0: on, 1: pruned}
