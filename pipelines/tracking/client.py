"""The MLflow store: opened, its experiments found or made, its orphans closed, and
waited for while its server does not answer.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sqlite3
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# Read by MLflow when it is imported: usage is not reported, and a server that does not
# answer is waited for here, where others can go on meanwhile.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException, RestException
from requests import HTTPError, RequestException

from pipelines.params.read import Dataset
from pipelines.tracking import descriptions, views

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"


SEEN = "ftml.seen"
"Tag of a study's run: when its driver last logged anything, in seconds of Unix time."

TASK, METRIC = "ftml.task", "ftml.metric"
"Tags of an experiment: what its studies are for, and what they are compared by."

PATIENCE = 600.0
"Seconds that a server which does not answer is waited for before the stage gives up."

T = TypeVar("T")


class TrackingError(ValueError):
    """The store cannot be used."""


class ServerUnavailableError(TrackingError):
    """Its server does not answer."""


def is_transient_error(error: Exception) -> bool:
    """Return whether a call failed because MLflow's server did not answer, rather than
    refused.
    """
    if isinstance(error, RestException):
        return bool(error.get_http_status_code() >= 500)
    if isinstance(error, HTTPError) and error.response is not None:  # of an artifact
        return bool(error.response.status_code >= 500)
    if isinstance(error, MlflowException):
        return mlflow.get_tracking_uri().startswith("http")
    return isinstance(error, RequestException | ServerUnavailableError)


def try_call(call: Callable[[], object]) -> bool:
    """Make a call to MLflow and return whether its server answered."""
    try:
        call()
    except Exception as error:
        if not is_transient_error(error):
            raise
        return False
    return True


def retry_until_available(call: Callable[[], T], *, pause: float = 2.0) -> T:
    """Make a call to MLflow, again and again until its server answers.

    The call must be one that can be made twice. Raises TrackingError when `PATIENCE` is
    at its end.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except Exception as error:
            if not is_transient_error(error):
                raise
            if time.monotonic() > deadline:
                raise TrackingError(
                    f"the MLflow server at {mlflow.get_tracking_uri()} has not "
                    f"answered for {PATIENCE:.0f} s; the stage, run again, goes on"
                ) from None
        time.sleep(pause)


def open_store() -> MlflowClient:
    """Return a client of the store: MLFLOW_TRACKING_URI, or `mlflow.db` made at need.

    Raises TrackingError when a server does not answer, before any work is done.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith("http"):
        _check_server(uri)
    elif not uri:
        uri = f"sqlite:///{Path(DATABASE).resolve()}"
    mlflow.set_tracking_uri(uri)
    try:
        if uri.startswith("sqlite:///"):
            _make_database(Path(uri.removeprefix("sqlite:///")))
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # migrates the database
    except (MlflowException, OSError) as error:
        raise TrackingError(f"MLflow store {uri}: {error}") from None
    if uri.startswith("sqlite:///"):
        with sqlite3.connect(uri.removeprefix("sqlite:///")) as connection:
            # Stays in the file: readers (the UI) do not wait for the writer.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return client


def _make_database(path: Path) -> None:
    """Make an empty database there, whole or not at all, if there is none.

    MLflow makes its tables one by one, and refuses for ever a database that lacks some.
    """
    if path.exists():
        return
    prefix = f".{path.name}."
    for left in path.parent.glob(f"{prefix}*"):  # of a driver that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as beside:
        new, copy = Path(beside) / path.name, Path(beside) / "whole"
        MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        # A copy: MLflow keeps connections to the file that it has made.
        shutil.copyfile(new, copy)
        os.replace(copy, path)


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServerUnavailableError(
            f"the MLflow server at MLFLOW_TRACKING_URI={uri} does not answer: {reason}"
        ) from None


def open_experiment(client: MlflowClient, dataset: Dataset, *, digest: str) -> str:
    """Return the id of the MLflow experiment of a dataset, made or restored at need."""
    identity = experiment_named(client, dataset.name)
    about = descriptions.experiment(dataset, identity, digest=digest)
    tags = views.best_tag(dataset) | {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": about,
        TASK: dataset.task,
        METRIC: dataset.metric,
    }
    for name, value in tags.items():
        client.set_experiment_tag(identity, name, value)
    return identity


def experiment_named(client: MlflowClient, name: str) -> str:
    """Return the id of the experiment of that name, made or restored at need."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = mlflow.get_tracking_uri().startswith("sqlite:")
        folder = (Path(ARTIFACTS) / name).resolve().as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=folder))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def close_stale_runs(
    client: MlflowClient, experiment: str, *, heartbeat_timeout: float | None = None
) -> int:
    """Close the runs of an experiment whose driver has died on this machine; return how
    many.

    Whether a driver elsewhere lives can only be guessed: with `silent_for`, the runs
    of one that has said nothing for so many seconds are closed, too.
    """
    running = search(client, experiment, "attributes.status = 'RUNNING'")
    seen = {run.info.run_id: float(run.data.tags.get(SEEN, 0)) for run in running}
    closed = 0
    for run in running:
        host, _, pid = run.data.tags.get("ftml.driver", "").rpartition(":")
        study = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
        silence = time.time() - max(seen.get(study, 0), run.info.start_time / 1000)
        if host == socket.gethostname():
            why = "" if _alive(int(pid)) else "its driver died"
        elif host and heartbeat_timeout is not None and silence > heartbeat_timeout:
            why = f"its driver said nothing for {silence / 60:.0f} min"
        else:
            why = ""
        if why:
            client.set_tag(run.info.run_id, "ftml.closed", why)
            client.set_terminated(run.info.run_id, "KILLED")
            closed += 1
    return closed


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def driver() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def search(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment], condition, max_results=1000, page_token=token
        )
        found += page
        token = page.token
        if not token:
            return found


def set_champion(client: MlflowClient, dataset: str, version: str) -> bool:
    """Give the alias `champion` to a version; False if it is not in this store."""
    try:
        client.set_registered_model_alias(dataset, "champion", version)
    except MlflowException as error:
        if is_transient_error(error):
            raise
        return False
    return True
