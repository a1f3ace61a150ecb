"""How many calls of MLflow the run of a trial takes, and what they hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.params.read import read_params
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Trial
from pipelines.tracking.child_runs import ChildRuns, ParentRun

PARAMS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments: {toy: {ridge: {trials: 5}}}
"""
GOES_ON = PruningDecision()


class Page(list[Any]):
    token = None


class Calls:
    """A client that notes the calls which write, but for heartbeats."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []

    def search_runs(self, *_: Any, **__: Any) -> Page:
        return Page()

    def set_tag(self, *_: Any) -> None:
        pass

    def create_run(self, experiment: str, *, tags: dict, run_name: str) -> Any:
        self.made.append(("create_run", tags))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_batch(
        self, run: str, metrics: Any = (), params: Any = (), tags: Any = ()
    ) -> None:
        content = {
            "steps": [each.step for each in metrics],
            "params": [each.key for each in params],
            "tags": {each.key: each.value for each in tags},
        }
        self.made.append(("log_batch", content))

    def set_terminated(self, run: str, status: str) -> None:
        self.made.append(("set_terminated", {"status": status}))

    def names(self) -> list[str]:
        return [name for name, _ in self.made]


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def children(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ChildRuns:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (study,) = read_params().experiments["toy"]
    client: Any = calls
    return ChildRuns(ParentRun(client, "1", "parent", study), role="trial")


def trial(*steps: int, ended: bool = True, error: str | None = None) -> Trial:
    metrics = {n: {"train_mse": float(n)} for n in steps}
    return Trial({"alpha": 0.5}, steps=metrics, ended=ended, error=error)


@pytest.mark.parametrize(
    ("error", "decision", "outcome", "status"),
    [
        (None, GOES_ON, "finished", "FINISHED"),
        (None, PruningDecision.pruned_at(2), "stopped", "FINISHED"),
        ("FloatingPointError: diverged", GOES_ON, "diverged", "FINISHED"),
        ("RuntimeError: no memory", GOES_ON, "failed", "FAILED"),
    ],
)
def test_a_trial_that_has_ended_takes_three_calls_of_mlflow(
    calls: Calls,
    children: ChildRuns,
    error: str | None,
    decision: PruningDecision,
    outcome: str,
    status: str,
) -> None:
    trials = {0: trial(1, 2, 3, error=error)}
    for _ in range(2):  # the second call finds nothing to log
        children.log(trials, {0: decision}, {0})
    assert calls.names() == ["create_run", "log_batch", "set_terminated"]
    (_, tags), (_, batch), (_, end) = calls.made
    assert (tags["ftml.outcome"], tags.get("ftml.error")) == (outcome, error)
    assert batch["steps"] == ([1, 2] if outcome == "stopped" else [1, 2, 3])
    assert batch["params"] == ["alpha"]
    assert end == {"status": status}


def test_a_trial_that_was_logged_while_it_ran_gets_its_outcome_with_its_last_steps(
    calls: Calls, children: ChildRuns
) -> None:
    children.log({0: trial(1, ended=False)}, {0: GOES_ON}, {0})
    assert calls.names() == ["create_run", "log_batch"]
    assert "ftml.outcome" not in calls.made[0][1]
    children.log({0: trial(1, 2)}, {0: PruningDecision.pending_at(2)}, {0})
    assert calls.made[2:] == [("log_batch", {"steps": [2], "params": [], "tags": {}})]
    children.log({0: trial(1, 2, 3)}, {0: GOES_ON}, {0})
    last = {"steps": [3], "params": [], "tags": {"ftml.outcome": "finished"}}
    assert calls.made[3:] == [
        ("log_batch", last),
        ("set_terminated", {"status": "FINISHED"}),
    ]
