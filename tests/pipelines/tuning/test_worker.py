"""What a worker reports, without Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import tune

from ftml import Splits, Table, family
from ftml.core import Step
from ftml.saving import load_tree
from pipelines.cluster import resources
from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.plan import Assignment, Search
from pipelines.study.pruning import PruningDecision
from pipelines.tuning import worker
from pipelines.tuning.coordinator import Coordinator
from pipelines.tuning.training import TrainingJob, TrialState
from pipelines.tuning.worker import _run

MOST = 99
"How many trials fit into the memory of the GPU."


class Training(TrainingJob):
    """Trains nothing: a step at a time, to the step that a trial's alpha names; an
    alpha of zero is what a family cannot bear, a large one what a GPU cannot hold.
    """

    def train(self, trials: Sequence[TrialState]) -> Iterator[list[Step | None]]:
        ends = [int(trial.config.alpha) for trial in trials]
        if min(ends) == 0:
            raise FloatingPointError("diverged")
        if max(ends) > MOST:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        starts = [trial.state["n"] if trial.state else 0 for trial in trials]
        for n in range(min(starts) + 1, max(ends) + 1):
            yield [Step(n, {}, None, {"n": n}) if n <= end else None for end in ends]

    def evaluate(self, model: Any, split: Any) -> dict[str, float]:
        return {"mse": 1.0}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the rows that are reported."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", lambda row, **_: found.extend(row["rows"]))
    return found


@pytest.fixture
def saved_states(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the states of each checkpoint; every report has one."""
    states: list[dict[str, Any]] = []

    def report(row: dict[str, Any], checkpoint: Any = None) -> None:
        if checkpoint is not None:
            states.append(load_tree(Path(checkpoint.path))[0])

    monkeypatch.setattr(tune, "report", report)
    monkeypatch.setenv("FTML_CHECKPOINT_SECONDS", "0")
    return states


def train(
    ends: Sequence[int],
    coordinator: Any = None,
    last_step: int | None = None,
    share: float = 1.0,
    **changes: Any,
) -> None:
    Config = family("ridge").Config
    search = Search(
        folder=Path("nowhere"),
        family="ridge",
        config={},
        trials=tuple(Assignment((), {"seed": 3}, last_step, share) for _ in ends),
        metric="mse",
        mode="min",
        resources=Resources(),
        **{"batch_size": len(ends), **changes},
    )
    table = Table(np.zeros((4, 1)), np.zeros(4))
    work = Training(search, Splits(table, test=table), search.trials[0], coordinator)
    trials = [TrialState(i, Config(alpha=float(end))) for i, end in enumerate(ends)]
    _run(trials, work)


def test_trials_that_end_at_different_steps_report_all_their_steps(rows) -> None:
    train([3, 1, 2])
    steps = [(row["trial"], row["n"]) for row in rows if "n" in row]
    assert sorted(steps) == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2)]
    assert [row["trial"] for row in rows if "ended" in row] == [1, 2, 0]


def test_a_last_step_between_two_reports_counts_once(rows) -> None:
    train([4, 3], report_every=2)
    steps = [(row["trial"], row["n"]) for row in rows if "n" in row]
    assert sorted(steps) == [(0, 2), (0, 4), (1, 2), (1, 3)]


def test_a_trial_that_fails_does_not_take_its_batch_with_it(rows) -> None:
    train([2, 0, 1])
    errors = {row["trial"]: row["error"] for row in rows if "error" in row}
    assert errors == {1: "FloatingPointError: diverged"}
    steps = [(row["trial"], row["n"]) for row in rows if "n" in row]
    assert sorted(steps) == [(0, 1), (0, 2), (2, 1)]
    assert sorted(row["trial"] for row in rows if "ended" in row) == [0, 2]


def test_a_trial_that_is_too_large_for_the_gpu_fails_alone_with_that_message(
    rows,
) -> None:
    train([2, MOST + 1, 1])
    errors = {row["trial"]: row["error"] for row in rows if "error" in row}
    message = "CUDA out of memory. Tried to allocate 9 GiB"
    assert errors == {1: f"out of GPU memory: {message}"}
    assert sorted(row["trial"] for row in rows if "ended" in row) == [0, 2]


class Decisions:
    """Returns the next of several states of the decisions at each call."""

    def __init__(self, *known: dict[int, PruningDecision]) -> None:
        self.known = [*known]
        self.decisions = self

    def remote(self, name: str, indices: list[int]) -> dict[int, PruningDecision]:
        assert indices == [0, 1, 2]
        return self.known.pop(0)


def test_a_batch_waits_for_the_decisions_of_its_rung_and_for_no_later_one(
    rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "get", lambda known: known)
    open_, later = PruningDecision.pending_at(2), PruningDecision.pending_at(4)
    coordinator = Decisions(
        {},
        {0: later, 1: open_, 2: PruningDecision.pruned_at(2)},
        {0: later, 1: PruningDecision(), 2: PruningDecision.pruned_at(2)},
    )
    train([3, 3, 3], coordinator=coordinator, early_stopping=EarlyStopping(grace=2))
    assert coordinator.known == []
    steps = [(row["trial"], row["n"]) for row in rows if "n" in row]
    assert sorted(steps) == [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
    ]


def test_a_final_fit_is_tested_at_its_end_alone_however_often_it_is_saved_states(
    rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTML_CHECKPOINT_SECONDS", "0")
    monkeypatch.setattr(worker, "save", lambda *_: None)
    train([5], last_step=3, batch_size=1)
    assert [("test_mse" in row["metrics"], row["n"]) for row in rows] == [
        (False, 1),
        (False, 2),
        (True, 3),
    ]
    rows.clear()
    train([2], last_step=3, batch_size=1)
    assert [("test_mse" in row["metrics"], row["n"]) for row in rows] == [
        (False, 1),
        (False, 2),
        (True, 2),
    ]


def test_a_fit_on_a_share_of_the_rows_is_scored_on_them_and_on_the_test(
    rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "save", lambda *_: None)
    train([1], last_step=1, batch_size=1, share=0.5, scores_seen=True)
    (row,) = rows
    assert row["metrics"] == {"test_mse": 1.0, "train_mse": 1.0, "train_rows": 2.0}


def test_trials_that_wait_for_another_are_in_its_checkpoints(saved_states) -> None:
    train([2, 0, 1])
    assert saved_states[0] == {"0": {"n": 1}, "1": None, "2": None}
    assert saved_states[-1] == {"2": {"n": 1}}


def test_the_start_barrier_holds_until_all_workers_started_or_one_timed_out() -> None:
    coordinator = Coordinator()
    coordinator._searches["a"] = ()  # type: ignore[assignment]
    coordinator.find("a", "cpu", "first")
    assert not coordinator.workers_starting("cpu", timed_out=False), (
        "no other worker is expected"
    )
    coordinator.set_expected_workers("cpu", 3)
    coordinator.set_expected_workers("gpu", 2)
    assert coordinator.workers_starting("cpu", timed_out=False)
    coordinator.find("a", "cpu", "second")
    coordinator.find("a", "cpu", "second")
    assert coordinator.workers_starting("cpu", timed_out=False)
    coordinator.find("a", "cpu", "third")
    assert not coordinator.workers_starting("cpu", timed_out=False)
    coordinator.set_expected_workers("cpu", 4)
    assert not coordinator.workers_starting("cpu", timed_out=True)
    assert not coordinator.workers_starting("cpu", timed_out=False), (
        "one time-out ends the wait of all"
    )
    coordinator.set_expected_workers("cpu", 5)
    assert not coordinator.workers_starting("cpu", timed_out=False), (
        "also for later workers"
    )


def test_capacity_is_counted_by_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 5.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 3.0}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
    ]
    monkeypatch.setattr(resources.ray, "nodes", lambda: nodes)
    assert resources.capacity({"CPU": 2.0}) == 3
    assert resources.capacity({"CPU": 0.1}) == 80
    assert resources.capacity({"CPU": 1.0, "GPU": 0.25}) == 4
    assert resources.capacity({"CPU": 8.0}) == 0
