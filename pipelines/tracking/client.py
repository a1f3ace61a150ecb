"""The MLflow store: opens it, retries calls, finds or creates experiments, and closes
stale runs.

Who writes. Only the driver, which is the process of a stage, writes to the store; its
workers never do. Each run has the tag `ftml.driver`, `host:pid` of the driver that
logs to it, and the run of a study has the tag `ftml.heartbeat`, the Unix time at which
its driver last logged metrics.

Order. `open_store` comes first: it tests a server before any work starts, or creates
`mlflow.db`. `open_experiment` sets the tags of the experiment, and `close_stale_runs`
closes what crashed drivers have left RUNNING, before a run is opened.

Retries. A call fails with a transient error when the server does not respond (a failed
connection, or HTTP status 500 and above). `try_call` makes one attempt, for what may be
logged later. `retry_until_available` repeats the call every 2 s for RETRY_TIMEOUT_S;
since the answer of a call that was carried out can be lost, the call must be
idempotent. Any other error, such as HTTP status 403, is raised at once.

Observe: the tags `ftml.driver` and `ftml.heartbeat` of runs that are RUNNING, and
`ftml.closed` of runs that were closed as stale, which holds the reason.
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

# MLflow reads these when it is imported. It retries a request only once, so that the
# retries are those of this module, and a search continues between them.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# With a server, MLflow prints two lines for each run that ends.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException, RestException
from requests import HTTPError, RequestException
from sqlalchemy.exc import SQLAlchemyError

from pipelines.common.project import project_folder
from pipelines.common.redaction import without_passwords
from pipelines.params.read import Dataset
from pipelines.tracking import descriptions, mlflow_ui, views
from pipelines.tracking.local_store import (
    ARTIFACTS,
    SQLITE,
    sqlite_address,
    store_address,
)

HEARTBEAT = "ftml.heartbeat"
"Tag of the run of a study: the Unix time, in s, at which its driver last logged."

TASK, METRIC = "ftml.task", "ftml.metric"
"Tags of an experiment: the task of its dataset, and the metric that compares studies."

RETRY_TIMEOUT_S = 600.0
"Time for which a call is repeated while the server does not respond."

T = TypeVar("T")


class TrackingError(ValueError):
    """The MLflow store cannot be used."""


class ServerUnavailableError(TrackingError):
    """The MLflow server does not respond."""


def is_transient_error(error: Exception) -> bool:
    """Return whether a call failed because the MLflow server did not respond, so that
    the same call can succeed later.

    False for a call that the server has rejected, and for every error of a database.
    """
    if isinstance(error, RestException):
        return bool(error.get_http_status_code() >= 500)
    if isinstance(error, HTTPError) and error.response is not None:  # from an upload
        return bool(error.response.status_code >= 500)
    if isinstance(error, MlflowException):  # without a status: the connection failed
        return mlflow.get_tracking_uri().startswith("http")
    return isinstance(error, RequestException | ServerUnavailableError)


def try_call(call: Callable[[], object]) -> bool:
    """Make one attempt at a call to MLflow; return whether the server responded.

    Raises the error of the call if it is not a transient error.
    """
    try:
        call()
    except Exception as error:
        if not is_transient_error(error):
            raise
        return False
    return True


def retry_until_available(call: Callable[[], T], *, pause: float = 2.0) -> T:
    """Return the result of a call to MLflow, repeated until its server responds.

    `call` must be idempotent; `pause` is the time between two attempts, in s. Raises
    TrackingError after RETRY_TIMEOUT_S, and the error of the call if it is not a
    transient error.
    """
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    while True:
        try:
            return call()
        except Exception as error:
            if not is_transient_error(error):
                raise
            if time.monotonic() > deadline:
                raise TrackingError(
                    f"the MLflow server at {_shown_address()} has not "
                    f"answered for {RETRY_TIMEOUT_S:.0f} s; rerun the stage to resume"
                ) from None
        time.sleep(pause)


def _shown_address() -> str:
    return without_passwords(mlflow.get_tracking_uri())


def open_store() -> MlflowClient:
    """Return a client of the store at MLFLOW_TRACKING_URI; by default of `mlflow.db` in
    the project folder, which is created if it is missing.

    Raises ServerUnavailableError when the server does not respond, and TrackingError
    for a database that cannot be opened.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    uri = store_address()
    if uri.startswith("http"):
        _check_server(uri)
    mlflow.set_tracking_uri(uri)
    try:
        if uri.startswith(SQLITE):
            _create_database(Path(uri.removeprefix(SQLITE)))
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # migrates the database
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        text = without_passwords(f"MLflow store {uri}: {reason}")
        raise TrackingError(text) from None
    if uri.startswith(SQLITE):
        with sqlite3.connect(uri.removeprefix(SQLITE)) as connection:
            # The mode is kept in the file. With it, readers such as the UI do not wait
            # for the writer.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return client


def _create_database(path: Path) -> None:
    """Create an empty database at a path atomically, if there is none.

    MLflow creates its tables one at a time. If it is killed in between, it rejects the
    partial database on every later start, so the database is created in a temporary
    directory and renamed.
    """
    if path.exists():
        return
    prefix = f".{path.name}."
    for leftover in path.parent.glob(f"{prefix}*"):  # of a driver that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as temporary:
        new, copy = Path(temporary) / path.name, Path(temporary) / "complete"
        if "'" in str(Path.cwd()):
            _create_tables(new)
        MlflowClient(sqlite_address(new)).search_experiments(max_results=1)
        # MLflow keeps connections to the file that it has created: rename a copy.
        shutil.copyfile(new, copy)
        os.replace(copy, path)


def _create_tables(path: Path) -> None:
    """Create the tables of a database where the path of the current folder has a quote.

    MLflow writes the folder of its experiment `Default` into an SQL statement as it is,
    by default below the current folder; as an address, its quote is encoded.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(sqlite_address(path), (project_folder() / ARTIFACTS).as_uri())


def _check_server(uri: str) -> None:
    """Raise ServerUnavailableError if the server does not respond within 10 s."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServerUnavailableError(
            without_passwords(
                f"the MLflow server at MLFLOW_TRACKING_URI={uri} does not answer: "
                f"{reason}"
            )
        ) from None


def open_experiment(client: MlflowClient, dataset: Dataset, *, digest: str) -> str:
    """Return the id of the MLflow experiment of a dataset, with its tags set; it is
    created, or restored after a deletion, if needed.

    `digest` is the hash of the prepared data, which the description of the experiment
    names.
    """
    experiment_id = get_or_create_experiment(client, dataset.name)
    description = descriptions.experiment(dataset, experiment_id, digest=digest)
    tags = views.best_view(dataset) | {
        mlflow_ui.EXPERIMENT_KIND_TAG: mlflow_ui.EXPERIMENT_KIND,
        "mlflow.note.content": description,
        TASK: dataset.task,
        METRIC: dataset.metric,
    }
    for name, value in tags.items():
        client.set_experiment_tag(experiment_id, name, value)
    return experiment_id


def get_or_create_experiment(client: MlflowClient, name: str) -> str:
    """Return the id of the experiment with a name; it is created, or restored after a
    deletion, if needed.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = mlflow.get_tracking_uri().startswith("sqlite:")
        folder = (project_folder() / ARTIFACTS / name).as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=folder))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def close_stale_runs(
    client: MlflowClient, experiment_id: str, *, heartbeat_timeout: float | None = None
) -> int:
    """Close the stale runs of an experiment as KILLED; return their number.

    A run is stale when its driver ran on this machine and has crashed. Whether a driver
    on another machine is alive cannot be known: its runs are stale only if
    `heartbeat_timeout`, in s, is given and its last heartbeat is older. The children of
    a study have the heartbeat of the study. The tag `ftml.closed` holds the reason.
    """
    running = search_runs(client, experiment_id, "attributes.status = 'RUNNING'")
    heartbeats = {
        run.info.run_id: float(run.data.tags.get(HEARTBEAT, 0)) for run in running
    }
    closed = 0
    for run in running:
        host, _, pid = run.data.tags.get("ftml.driver", "").rpartition(":")
        study = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
        last = max(heartbeats.get(study, 0), run.info.start_time / 1000)
        age = time.time() - last
        if host == socket.gethostname():
            reason = "" if _is_alive(int(pid)) else "its driver crashed"
        elif host and heartbeat_timeout is not None and age > heartbeat_timeout:
            reason = f"no heartbeat for {age / 60:.0f} min"
        else:
            reason = ""
        if reason:
            client.set_tag(run.info.run_id, "ftml.closed", reason)
            client.set_terminated(run.info.run_id, "KILLED")
            closed += 1
    return closed


def _is_alive(pid: int) -> bool:
    """Return whether a process of this machine has that id."""
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is alive, and belongs to another user
        pass
    return True


def driver_id() -> str:
    """Return the value of the tag `ftml.driver` for this process: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def search_runs(client: MlflowClient, experiment_id: str, condition: str) -> list[Run]:
    """Return all runs of an experiment that meet a condition in MLflow's syntax, read
    page by page.
    """
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], condition, max_results=1000, page_token=token
        )
        runs += page
        token = page.token
        if not token:
            return runs


def set_champion(client: MlflowClient, dataset: str, version: str) -> bool:
    """Set the alias `champion` of a dataset's registered model to a version; return
    False if the store does not have that version.
    """
    try:
        client.set_registered_model_alias(dataset, "champion", version)
    except MlflowException as error:
        if is_transient_error(error):
            raise
        return False
    return True
