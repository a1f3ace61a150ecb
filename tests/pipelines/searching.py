"""Searches of their own: studies that ask for one, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import ray

from pipelines.study.folds import Data
from pipelines.study.plan import Search
from pipelines.study.record import Record
from pipelines.tuning import driver
from pipelines.tuning.driver import start_coordinator
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, TrialUpdateCallback


def ignore(record: Record, index: int) -> None:
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
    (record,) = run_all([plan], data, on_trial_update=on_trial_update)
    return record


def run_all(
    plans: Sequence[Search],
    data: Data,
    *,
    on_trial_update: TrialUpdateCallback = ignore,
) -> list[Record]:
    """Return the records of searches that run side by side."""
    found: dict[int, Record] = {}

    def study(number: int, plan: Search) -> StudyCoroutine:
        found[number] = yield SearchRequest(plan, data, on_trial_update)

    studies = [study(number, plan) for number, plan in enumerate(plans)]
    driver.run(
        studies,
        coordinator=coordinator(),
        folder=str(plans[0].folder.with_name("checkpoints")),
    )
    return [found[number] for number in range(len(plans))]
