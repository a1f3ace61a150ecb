"""Runs belong to the folder that started them, and nobody else writes to them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines.common.processes import this_process
from pipelines.params.read import Study, read_params
from pipelines.study.metrics import StudyMetrics
from pipelines.tracking import client as tracking_client
from pipelines.tracking import ownership
from pipelines.tracking.client import TrackingError, close_stale_runs_of_store
from pipelines.tracking.comparison_run import log_comparison
from pipelines.tracking.ownership import DRIVER, FOLDER, HEARTBEAT, PROCESS
from pipelines.tracking.study_run import (
    StudyRun,
)
from tests.conftest import forget_store

PARAMS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments: {toy: {ridge: {trials: 5}}}
"""
ANNA, BOB = "a" * 32, "b" * 32


class Shared:
    """A store that the folders of Anna and Bob share, and their study."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.client: MlflowClient = tracking_client.open_store()
        self.experiment = self.client.create_experiment("toy")
        self.study: Study = read_params().experiments["toy"][0]

    def as_folder(self, identity: str) -> None:
        self.monkeypatch.setenv("FTML_IDENTITY", identity)

    def open(self, key: str = "k") -> StudyRun:
        return StudyRun(self.client, self.experiment, self.study, key=key, digest="d")

    def run(self, run_id: str) -> Run:
        return self.client.get_run(run_id)

    def status(self, run_id: str) -> str:
        return str(self.run(run_id).info.status)


@pytest.fixture
def shared(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shared]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "shared.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    (tmp_path / "params.yaml").write_text(PARAMS)
    yield Shared(monkeypatch)
    forget_store()


def snapshot(run: Run) -> object:
    return run.info.status, run.data.tags, run.data.params, run.data.metrics


@pytest.mark.parametrize("finished", [True, False])
def test_a_driver_of_another_folder_changes_nothing_in_a_run_of_the_same_key(
    shared: Shared, finished: bool
) -> None:
    shared.as_folder(ANNA)
    anna = shared.open()
    if finished:
        with anna:
            pass
    before = snapshot(shared.run(anna.run_id))
    shared.as_folder(BOB)
    bob = shared.open()
    assert bob.run_id != anna.run_id
    with pytest.raises(KeyboardInterrupt), bob:
        raise KeyboardInterrupt
    assert shared.status(bob.run_id) == "KILLED"
    tracking_client.close_stale_runs(shared.client, shared.experiment)
    assert snapshot(shared.run(anna.run_id)) == before
    assert shared.open().run_id == bob.run_id, "Bob continues his own run"


def test_a_run_names_its_folder_its_driver_and_its_user(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.as_folder(ANNA)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    run = shared.run(shared.open().run_id)
    process = this_process()
    assert run.data.tags[FOLDER] == ANNA
    assert run.data.tags[DRIVER] == process.name
    assert run.data.tags[PROCESS] == process.origin
    assert run.data.tags["mlflow.user"] == run.info.user_id == "anna"


def test_a_user_without_a_name_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(ownership.getpass, "getuser", unknown)
    assert ownership.user() == "unknown"


HERE = this_process()
ELSEWHERE = replace(HERE, host="elsewhere")
PARENT = replace(HERE, pid=os.getppid(), origin="")
REUSED = replace(HERE, origin=HERE.origin + "0")


@pytest.mark.parametrize(
    ("driver", "heartbeat_age", "continued"),
    [
        pytest.param(PARENT, 0.0, False, id="alive on this host"),
        pytest.param(REUSED, 0.0, True, id="its process id is in use again"),
        pytest.param(ELSEWHERE, 10.0, False, id="alive on another host"),
        pytest.param(ELSEWHERE, 1e4, True, id="no heartbeat on another host"),
    ],
)
def test_a_driver_continues_a_run_of_its_folder_unless_another_may_be_writing(
    shared: Shared, driver: ownership.Process, heartbeat_age: float, continued: bool
) -> None:
    shared.as_folder(ANNA)
    run_id = shared.client.create_run(
        shared.experiment,
        start_time=1,
        tags={
            "ftml.role": "study",
            "ftml.key": "k",
            FOLDER: ANNA,
            DRIVER: driver.name,
            PROCESS: driver.origin,
            HEARTBEAT: f"{time.time() - heartbeat_age}",
        },
    ).info.run_id
    if continued:
        assert shared.open().run_id == run_id
        assert shared.run(run_id).data.tags[PROCESS] == HERE.origin
        return
    with pytest.raises(TrackingError, match=r"ridge: another driver of this project"):
        shared.open()


def test_a_run_that_is_continued_does_not_say_how_an_earlier_attempt_has_ended(
    shared: Shared,
) -> None:
    shared.as_folder(ANNA)
    run_id = shared.open().run_id
    for name in (ownership.ERROR, ownership.CLOSED):
        shared.client.set_tag(run_id, name, "its driver crashed")
    shared.client.set_terminated(run_id, "KILLED")
    assert shared.open().run_id == run_id
    tags = shared.run(run_id).data.tags
    assert not {ownership.ERROR, ownership.CLOSED} & tags.keys()


@pytest.mark.parametrize("default", [True, False])
def test_a_run_of_an_earlier_version_is_continued_in_the_store_of_the_folder_alone(
    shared: Shared, default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"ftml.role": "study", "ftml.key": "k", DRIVER: f"{HERE.host}:{2**22 + 1}"}
    run_id = shared.client.create_run(shared.experiment, tags=tags).info.run_id
    if default:
        monkeypatch.setattr(ownership, "is_default_store", lambda: True)
    opened = shared.open()
    assert (opened.run_id == run_id) == default
    assert (FOLDER in shared.run(run_id).data.tags) == default


def test_only_the_command_closes_runs_of_other_folders(shared: Shared) -> None:
    shared.as_folder(ANNA)
    tags = {DRIVER: f"{HERE.host}:{2**22 + 1}", PROCESS: HERE.origin, FOLDER: ANNA}
    run_id = shared.client.create_run(shared.experiment, tags=tags).info.run_id
    shared.as_folder(BOB)
    assert tracking_client.close_stale_runs(shared.client, shared.experiment) == 0
    assert shared.status(run_id) == "RUNNING"
    assert close_stale_runs_of_store() == 1
    assert shared.status(run_id) == "KILLED"


def test_a_heartbeat_is_set_from_a_thread_only_if_the_store_is_on_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Client:
        def set_tag(self, run_id: str, name: str, value: str) -> None:
            said.append((run_id, name))
            heartbeat.stop()
            raise OSError("the server does not respond")

    said: list[tuple[str, str]] = []
    threads: list[Callable[[], None]] = []

    class Thread:
        def __init__(self, *, target: Callable[[], None], daemon: bool) -> None:
            assert daemon
            self.start = lambda: threads.append(target)

    monkeypatch.setattr(ownership.threading, "Thread", Thread)
    monkeypatch.setattr(ownership, "HEARTBEAT_INTERVAL_S", 0.0)
    heartbeat = ownership.Heartbeat(Client(), "r")  # type: ignore[arg-type]
    heartbeat.start()
    assert not threads
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    heartbeat.start()
    for target in threads:
        target()
    assert said == [("r", HEARTBEAT)]


def test_a_comparison_of_another_folder_hides_nothing_and_describes_nothing(
    shared: Shared, tmp_path: Path
) -> None:
    toy, nothing = read_params().datasets["toy"], cast(StudyMetrics, None)
    (folder := tmp_path / "artifacts").mkdir()
    (folder / "table.md").write_text("a table")

    def compared(run_id: str) -> str:
        tracking_client.open_experiment(shared.client, toy, digest=run_id)
        log_comparison(
            shared.client,
            shared.experiment,
            toy,
            folder,
            digest="d",
            best=nothing,
            curves=[],
            studies=[run_id],
            champion=False,
        )
        condition = "tags.`ftml.role` = 'comparison'"
        runs = tracking_client.search_runs(shared.client, shared.experiment, condition)
        (found,) = ownership.own(runs)
        return str(found.info.run_id)

    shared.as_folder(ANNA)
    anna = shared.open().run_id
    tracking_client.open_experiment(shared.client, toy, digest="of Anna")
    shared.client.set_tag(anna, "ftml.current", "true")
    before = snapshot(shared.run(anna))
    described = shared.client.get_experiment(shared.experiment).tags
    assert "of Anna" in described["mlflow.note.content"]
    shared.as_folder(BOB)
    bob = shared.open("toy").run_id
    first = compared(bob)
    assert compared(bob) == first, "a folder has one run for its comparison"
    assert snapshot(shared.run(anna)) == before
    assert shared.run(bob).data.tags["ftml.current"] == "true"
    notes = shared.client.get_experiment(shared.experiment).tags
    assert notes["mlflow.note.content"] == described["mlflow.note.content"]
