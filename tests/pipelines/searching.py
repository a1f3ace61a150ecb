"""A search of its own: a study that asks for one, and nothing more."""

from __future__ import annotations

from functools import cache
from typing import Any

import ray

from pipelines.study.folds import Data
from pipelines.study.plan import Search
from pipelines.study.record import Record
from pipelines.tuning import driver
from pipelines.tuning.driver import start_coordinator
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, TrialUpdateCallback


def ignore(*_: object) -> None:
    pass


@cache
def coordinator_of(node: str) -> Any:
    """Return the coordinator of this node's cluster: starting one takes seconds."""
    return start_coordinator()


def coordinator() -> Any:
    return coordinator_of(ray.get_runtime_context().get_node_id())


def run(
    plan: Search, data: Data, *, on_trial_update: TrialUpdateCallback = ignore
) -> Record:
    """Return the record of one search, run to its end."""
    found: list[Record] = []

    def study() -> StudyCoroutine:
        found.append((yield SearchRequest(plan, data, on_trial_update)))

    driver.run(
        [study()],
        coordinator=coordinator(),
        folder=str(plan.folder.with_name("checkpoints")),
    )
    (record,) = found
    return record
