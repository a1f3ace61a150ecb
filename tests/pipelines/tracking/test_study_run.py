"""Logging while the MLflow server fails, stale runs, and creation of the store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException, RestException
from requests import ConnectionError, HTTPError, Response

from pipelines.common.processes import this_process
from pipelines.params.read import read_params
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Trial
from pipelines.tracking import client as tracking_client
from pipelines.tracking import ownership
from pipelines.tracking.client import (
    TrackingError,
    close_stale_runs_of_store,
    is_transient_error,
    retry_until_available,
    try_call,
)
from pipelines.tracking.study_run import StudyRun
from tests.conftest import forget_store, runs

PARAMS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments: {toy: {ridge: {trials: 5}}}
"""


class Flaky:
    """A client whose calls fail one time in four, before or after they are carried
    out.
    """

    def __init__(self, client: Any, seed: int) -> None:
        self.client, self.rng = client, np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            fate = self.rng.integers(8)
            if fate == 0:
                raise ConnectionError("refused")
            found = method(*arguments, **named)
            if fate == 1:
                raise ConnectionError("the answer was lost")
            return found

        return call


@pytest.fixture
def project(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(PARAMS)
    yield tmp_path
    forget_store()


@pytest.mark.parametrize("seed", range(2))
def test_every_metric_is_logged_once_and_in_order_however_often_the_server_fails(
    project: Path, seed: int
) -> None:
    plan = read_params()
    client = tracking_client.open_store()
    experiment = tracking_client.open_experiment(
        client, plan.datasets["toy"], digest="d"
    )
    (study,) = plan.experiments["toy"]
    flaky: Any = Flaky(client, seed)
    first = StudyRun(client, experiment, study, key="k", digest="d")
    study_run = retry_until_available(
        lambda: StudyRun(flaky, experiment, study, key="k", digest="d"), pause=0
    )
    assert study_run.run_id == first.run_id
    children = retry_until_available(lambda: study_run.children("trial"), pause=0)
    trials = {
        i: Trial({"alpha": 0.5 * i}, steps={n: {"train_mse": i + n} for n in (1, 2, 3)})
        for i in range(5)
    }
    decisions = {i: PruningDecision() for i in trials}
    retry_until_available(lambda: children.log(trials, decisions, {0, 3}), pause=0)
    for trial in trials.values():
        trial.steps |= {n: {"train_mse": float(n)} for n in (4, 5)}
        trial.ended = True
    retry_until_available(lambda: children.log(trials, decisions, set(trials)), pause=0)
    points = runs(
        project,
        "select run_uuid, step from metrics where key = 'train_mse' "
        "order by run_uuid, timestamp, step",
    )
    assert len(points) == len(set(points)) == 5 * 5
    assert [step for _, step in points] == [1, 2, 3, 4, 5] * 5
    params = runs(project, "select run_uuid from params where key = 'alpha'")
    assert len(params) == 5
    query = "select value from params where key = 'configurations'"
    assert runs(project, query) == [("5",)]
    statuses = runs(project, "select status from runs where name like '%trial%'")
    assert statuses == [("FINISHED",)] * 5


def test_a_failed_study_is_failed_with_its_reason_until_it_starts_again(
    project: Path,
) -> None:
    plan = read_params()
    client = tracking_client.open_store()
    experiment = tracking_client.open_experiment(
        client, plan.datasets["toy"], digest="d"
    )
    (study,) = plan.experiments["toy"]

    def opened() -> StudyRun:
        return StudyRun(client, experiment, study, key="k", digest="d")

    decisions = {i: PruningDecision() for i in range(3)}
    trials = {i: Trial({"alpha": 0.5, "seed": i}) for i in range(3)}
    trials[0].ended, trials[0].error = True, "RuntimeError: no memory"

    def fail() -> None:
        with opened() as run:
            fits = run.children("fit")
            fits.log(trials, decisions, set(trials))
            client.delete_run(fits.runs[1])  # which the next call does not know
            raise KeyError("a")

    with pytest.raises(KeyError):
        fail()
    query = "select status from runs where lifecycle_stage = 'active' order by name"
    assert runs(project, query) == [("FAILED",), ("FAILED",), ("KILLED",)]
    query = "select value from tags where key = 'ftml.error' order by value"
    assert runs(project, query) == [("KeyError: 'a'",), ("RuntimeError: no memory",)]

    trials[0].ended, trials[0].error = False, None
    with opened() as run:
        fits = run.children("fit")
        fits.log(trials, decisions, {0})
        fits.end(0, outcome="finished")
    assert runs(project, query) == []
    with suppress(GeneratorExit), opened() as run:
        raise GeneratorExit
    query = f"select status from runs where run_uuid = '{run.run_id}'"
    assert runs(project, query) == [("KILLED",)]


def test_a_call_to_a_server_that_never_responds_fails_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(tracking_client, "RETRY_TIMEOUT_S", 0.05)
    with pytest.raises(TrackingError, match="has not answered for 0 s"):
        retry_until_available(fail, pause=0.01)
    assert not try_call(fail)


def test_a_call_that_the_server_rejects_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "http://host:5000")
    asked: list[int] = []

    def refuse() -> None:
        asked.append(1)
        raise RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "m"})

    with pytest.raises(RestException):
        retry_until_available(refuse)
    with pytest.raises(RestException):
        try_call(refuse)
    assert len(asked) == 2
    assert is_transient_error(RestException({"error_code": "TEMPORARILY_UNAVAILABLE"}))
    assert is_transient_error(MlflowException("Max retries exceeded with url"))
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "sqlite:///mlflow.db")
    assert is_transient_error(MlflowException("database is locked"))
    assert not is_transient_error(MlflowException("disk image is malformed"))


@pytest.mark.parametrize(("status", "gone"), [(403, False), (413, False), (502, True)])
def test_an_upload_that_the_server_rejects_is_not_a_transient_error(
    status: int, gone: bool
) -> None:
    response = Response()
    response.status_code = status
    assert is_transient_error(HTTPError("of an upload", response=response)) == gone


def test_runs_of_crashed_drivers_are_closed_and_those_of_alive_ones_are_not(
    project: Path,
) -> None:
    client = tracking_client.open_store()
    identity = client.create_experiment("toy")
    host = this_process().host
    hour_ago = time.time() - 3600
    tags = {
        "crashed": {"ftml.driver": f"{host}:{2**22 + 1}"},
        "alive": {"ftml.driver": f"{host}:{os.getpid()}"},
        "no_heartbeat": {
            "ftml.driver": "elsewhere:1",
            ownership.HEARTBEAT: f"{hour_ago}",
        },
        "recent": {
            "ftml.driver": "elsewhere:2",
            ownership.HEARTBEAT: f"{time.time()}",
        },
        "foreign": {},
    }
    ids = {
        name: client.create_run(
            identity, tags=each, start_time=int(1000 * hour_ago)
        ).info.run_id
        for name, each in tags.items()
    }
    child = {"ftml.driver": "elsewhere:2", "mlflow.parentRunId": ids["recent"]}
    ids["child"] = client.create_run(
        identity, tags=child, start_time=int(1000 * hour_ago)
    ).info.run_id

    def closed() -> set[str]:
        found = {name: client.get_run(run).info.status for name, run in ids.items()}
        assert set(found.values()) <= {"KILLED", "RUNNING"}
        return {name for name, status in found.items() if status == "KILLED"}

    assert close_stale_runs_of_store() == 1
    assert closed() == {"crashed"}
    assert (
        client.get_run(ids["crashed"]).data.tags["ftml.closed"] == "its driver crashed"
    )
    assert close_stale_runs_of_store(heartbeat_timeout=1800) == 1
    assert closed() == {"crashed", "no_heartbeat"}
    said = client.get_run(ids["no_heartbeat"]).data.tags["ftml.closed"]
    assert said == "no heartbeat for 60 min"
