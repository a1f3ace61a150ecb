"""A failure of one trial or study, without Ray: the other studies continue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray.exceptions import ActorDiedError
from ray.tune.schedulers import TrialScheduler

from ftml.core import Step
from pipelines.cluster.watch import SearchError
from pipelines.tuning import coordinator, driver, waiting, worker
from pipelines.tuning.coordinator import TuneSession
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, StudyQueue
from pipelines.tuning.training import TrainingJob, TrialState
from tests.pipelines.tuning.test_queue import request
from tests.pipelines.tuning.test_worker import rows, train

__all__ = ["rows"]


@pytest.mark.parametrize(
    "value",
    [np.int64(2), np.float32(2), np.float64(2), np.array(2.0), torch.tensor(2.0), 2],
)
def test_a_number_of_numpy_or_torch_is_a_number_of_json(value: object) -> None:
    found = worker.plain_number(value, "metric 'a'")
    assert json.dumps(found) in ("2", "2.0")


@pytest.mark.parametrize("value", ["2", None, [2.0], np.zeros(2), np.complex64(2)])
def test_a_metric_that_is_no_number_is_named(value: object) -> None:
    with pytest.raises(TypeError, match="metric 'a' must be one number, got "):
        worker.plain_number(value, "metric 'a'")


def test_a_step_of_numpy_numbers_is_reported_and_another_is_the_error_of_its_trial(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(
        self: TrainingJob, trials: Sequence[TrialState]
    ) -> Iterator[list[Step | None]]:
        yield [Step(np.int64(1), {"train_mse": np.float32(0.5)}, None, {})]  # type: ignore[arg-type]
        yield [Step(2, {"train_mse": "low"}, None, {})]  # type: ignore[dict-item]

    from tests.pipelines.tuning.test_worker import Training

    monkeypatch.setattr(Training, "train", steps)
    train([2])
    first, last = json.loads(json.dumps(rows))
    assert (first["n"], first["metrics"]["train_mse"]) == (1, 0.5)
    assert last["error"] == (
        "TypeError: metric 'train_mse' of step 2 must be one number, got str"
    )
    assert "in plain_number" in last["traceback"]


def test_the_text_of_an_error_can_be_written_anywhere() -> None:
    assert worker.format_error(ValueError("a\ud800b")) == "ValueError: a?b"
    assert len(worker.as_text("x" * 10**6)) == worker.LONGEST_TEXT


Broken = Callable[[TuneSession, Any], object]


def started(session: TuneSession, trial: Any) -> object:
    return driver.RecordCallback(session).on_trial_start(0, [], trial)


def completed(session: TuneSession, trial: Any) -> object:
    return driver.RecordCallback(session).on_trial_complete(0, [], trial)


def reported(session: TuneSession, trial: Any) -> object:
    row = {"trial": 0, "n": 1, "seconds": 0.1, "metrics": {"valid_mse": {1, 2}}}
    scheduler = driver.PruningScheduler(session)
    decision = scheduler.on_trial_result(None, trial, {"rows": [row]})
    assert decision == TrialScheduler.STOP
    return decision


def session_of_two(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> tuple[TuneSession, list[str]]:
    """Return a session of a study whose updates raise an error, and another one."""
    monkeypatch.setattr(ray, "put", lambda data: data)
    monkeypatch.setattr(ray, "get", lambda found: found)
    monkeypatch.setattr(coordinator, "resolve_resources", lambda asked: {"CPU": 1.0})
    monkeypatch.setattr(coordinator, "capacity", lambda resources: 1)
    ended: list[str] = []

    def study(name: str) -> StudyCoroutine:
        def update(*_: object) -> None:
            if name == "bad":
                raise error

        asked = request(folder / name / "search")
        try:
            yield SearchRequest(asked.search, asked.data, update)
        finally:
            ended.append(name)

    remote = SimpleNamespace(remote=lambda *_: None)
    actor = SimpleNamespace(
        open=remote, close=remote, publish=remote, set_expected_workers=remote
    )
    queue = StudyQueue([study("bad"), study("good")])
    return TuneSession(queue, actor, str(folder)), ended


def trial_of(session: TuneSession) -> Any:
    config = driver.QueueSearcher(session).suggest("0")
    return SimpleNamespace(config=config, trial_id="0")


@pytest.mark.parametrize("callback", [started, reported, completed])
def test_an_error_in_a_callback_is_the_failure_of_one_study(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    callback: Broken,
) -> None:
    error = KeyError("of MLflow")
    session, ended = session_of_two(tmp_path, monkeypatch, error)
    trial = trial_of(session)
    session.queue.active[0].record.start(0, {})
    callback(session, trial)
    assert ended == ["bad"]
    (failure,) = session.queue.errors
    if callback is not reported:
        assert failure is error
    assert trial_of(session).config["search"] == str(tmp_path / "good/search")
    session.print_errors()
    assert capsys.readouterr().err.startswith("error: ")
    session.print_errors()
    assert capsys.readouterr().err == "", "an error is printed once"
    with pytest.raises(SearchError, match=r"^1 study failed, as printed above"):
        session.raise_errors()


def test_an_error_of_ray_itself_is_not_of_one_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = session_of_two(tmp_path, monkeypatch, ActorDiedError())
    with pytest.raises(ActorDiedError):
        started(session, trial_of(session))
    assert session.queue.errors == []


def test_a_study_whose_data_cannot_be_sent_fails_and_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = session_of_two(tmp_path, monkeypatch, ValueError())
    data = iter([TypeError("cannot pickle"), None])

    def put(_: object) -> object:
        if (found := next(data)) is not None:
            raise found
        return found

    monkeypatch.setattr(ray, "put", put)
    assert trial_of(session).config["search"] == str(tmp_path / "good/search")
    assert str(session.queue.errors[0]) == "cannot pickle"


@pytest.mark.parametrize("failure", [None, "", RuntimeError()])
def test_a_crash_without_a_reason_is_said_in_a_sentence(failure: Any) -> None:
    assert driver.crash_reason(failure).startswith("Ray gives no reason; ")


def test_what_has_failed_is_run_again_by_the_next_driver(tmp_path: Path) -> None:
    def study() -> StudyCoroutine:
        yield request(tmp_path / "search", trials=2)
        raise ValueError("all trials failed")

    def start() -> StudyQueue:
        queue = StudyQueue([study()])
        queue.next_batch()
        return queue

    (active,) = start().active
    for index in (0, 1):
        active.record.start(index, {"alpha": float(index)})
        active.record.step(index, 1, {"train_mse": 1.0}, 0.1)
        active.record.end(index, error="OSError: gone")
    (again,) = start().active
    assert [trial.steps for trial in again.record.trials.values()] == [{}, {}]
    assert [0, *again.waiting] == [0, 1]
    again.record.end(0)
    again.record.end(1, error="OSError: gone")
    assert again.complete
    assert start().active == (), "one failed trial of several is a result"


def test_the_first_errors_of_trials_that_differ_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session, _ = session_of_two(tmp_path, monkeypatch, ValueError())
    trial_of(session)
    (active,) = session.queue.active
    diverged = "FloatingPointError: diverged: nan"
    errors = [diverged, "KeyError: 'a'\nmore", "KeyError: 'a'", "B", "C", "D"]
    for index, error in enumerate(errors):
        active.record.start(index, {})
        active.record.end(index, error=error)
        session.print_trial_error(active, index)
    printed = capsys.readouterr().err.splitlines()
    assert [line.partition("trial ")[2] for line in printed] == [
        "1 failed: KeyError: 'a'",
        "3 failed: B",
        "4 failed: C",
    ]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_minute_the_driver_says_which_trials_it_waits_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    trials = waiting.WaitingTrials(clock)
    search = request(Path(".search/iris/ridge/search")).search
    for batch in range(5):
        trials.started(str(batch), search, [2 * batch, 2 * batch + 1])
    clock.now = 59.0
    trials.reported("0")
    trials.ended("1")
    trials.show()
    assert capsys.readouterr().err == ""
    clock.now = 60.0
    trials.show()
    trials.show()
    assert capsys.readouterr().err == (
        "waiting for trials 4 to 5 of iris/ridge/search (no report for 1 min), trials "
        "6 to 7 of iris/ridge/search (no report for 1 min), trials 8 to 9 of "
        "iris/ridge/search (no report for 1 min)\n"
    )
    clock.now = 180.0
    assert trials.line().endswith(" and 1 more")
