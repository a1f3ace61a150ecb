"""The MLflow store: opens it, retries calls, and finds or creates experiments.

Who writes. Only the driver, which is the process of a stage, writes to the store; its
workers never do. `ownership` says whose runs it writes to.

Order. `open_store` comes first: it tests a server before any work starts, or creates
`mlflow.db`. `open_experiment` sets the tags of the experiment, and `close_stale_runs`
closes what crashed drivers of this folder have left RUNNING, before a run is opened.

Retries. A call fails with a transient error when the server does not respond (a failed
connection, or HTTP status 500 and above) or another process holds the SQLite database.
`try_call` makes one attempt, for what may be logged later. `retry_until_available`
repeats the call every 2 s for RETRY_TIMEOUT_S; since the answer of a call that was
carried out can be lost, the call must be idempotent. Two drivers that create the same
experiment, model, version, tag or dataset at once are in conflict (`is_conflict`): one
call fails, and both functions repeat it at once, which finds what the other has made.
Any other error, such as HTTP status 403, is raised at once.

Observe: the tag `ftml.closed` of runs that were closed as stale holds the reason.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import sys
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

from pipelines.common.explain import explain
from pipelines.common.project import folder_identity, project_folder
from pipelines.common.redaction import IN_ADDRESS, without_passwords
from pipelines.params.read import Dataset
from pipelines.tracking import descriptions, mlflow_ui, new_store, ownership, views
from pipelines.tracking.database_check import check_database, is_locked
from pipelines.tracking.local_store import ARTIFACTS, SQLITE, store_address

TASK, METRIC = "ftml.task", "ftml.metric"
"Tags of an experiment: the task of its dataset, and the metric that compares studies."

RETRY_TIMEOUT_S = 600.0
"Time for which a call is repeated while the server does not respond."

CONFLICTS = (
    "UNIQUE constraint failed",  # SQLite
    "duplicate key value",  # Postgres
    "Duplicate entry",  # MySQL
    "Model Version creation error",  # MLflow gives up after three numbers
)
"What an error says when two processes write the same thing at once."

CONFLICT_ATTEMPTS, CONFLICT_PAUSE_S = 12, 0.25
"Number of attempts at such a call, and the longest pause between two, in s."

T = TypeVar("T")


class TrackingError(ValueError):
    """The MLflow store cannot be used."""


class ServerUnavailableError(TrackingError):
    """The MLflow server does not respond."""


def is_transient_error(error: Exception) -> bool:
    """Return whether a call failed because the MLflow server did not respond, or
    because another process holds the database: the same call can succeed later.

    False for a call that the server has rejected, and for other errors of a database.
    """
    if is_locked(error):
        return True
    if isinstance(error, RestException):
        return bool(error.get_http_status_code() >= 500)
    if isinstance(error, HTTPError) and error.response is not None:  # from an upload
        return bool(error.response.status_code >= 500)
    if isinstance(error, MlflowException):  # without a status: the connection failed
        return mlflow.get_tracking_uri().startswith("http")
    return isinstance(error, RequestException | ServerUnavailableError)


def is_conflict(error: Exception) -> bool:
    """Return whether a call failed because another process wrote the same thing at the
    same time: the row that both create, or the next number of a version.

    MLflow reports it with the status of a bad request, or of an object that exists.
    """
    if not isinstance(error, MlflowException):
        return False
    return error.error_code == "RESOURCE_ALREADY_EXISTS" or any(
        text in str(error) for text in CONFLICTS
    )


def _settle(call: Callable[[], T]) -> T:
    """Return the result of an idempotent call, which is repeated at once, after a
    random pause, where another process has written the same thing.
    """
    for attempt in range(CONFLICT_ATTEMPTS):
        try:
            return call()
        except MlflowException as error:
            if not is_conflict(error) or attempt == CONFLICT_ATTEMPTS - 1:
                raise
        time.sleep(random.uniform(0, CONFLICT_PAUSE_S))
    raise AssertionError


def try_call(call: Callable[[], object]) -> bool:
    """Make one attempt at an idempotent call to MLflow; return whether the server
    responded. A conflict with another process is settled first.

    Raises the error of the call if it is not a transient error.
    """
    try:
        _settle(call)
    except Exception as error:
        if not is_transient_error(error):
            raise
        return False
    return True


def retry_until_available(call: Callable[[], T], *, pause: float = 2.0) -> T:
    """Return the result of a call to MLflow, repeated until its server responds, and
    until a conflict with another process is settled.

    `call` must be idempotent; `pause` is the time between two attempts, in s. Raises
    TrackingError after RETRY_TIMEOUT_S, and the error of the call if it is not a
    transient error.
    """
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    said = False
    while True:
        try:
            return _settle(call)
        except Exception as error:
            if not is_transient_error(error):
                raise
            what = "database" if is_locked(error) else "server"
            if time.monotonic() > deadline:
                raise TrackingError(
                    f"the MLflow {what} at {_shown_address()} has not "
                    f"answered for {RETRY_TIMEOUT_S:.0f} s; rerun the stage to resume"
                ) from None
            if not said:
                said = True
                place = _shown_address()
                line = f"waiting for the MLflow {what} at {place}: {explain(error)}"
                print(line, file=sys.stderr, flush=True)
        time.sleep(pause)


def _shown_address() -> str:
    return without_passwords(mlflow.get_tracking_uri())


def open_store() -> MlflowClient:
    """Return a client of the store at MLFLOW_TRACKING_URI; by default of `mlflow.db` in
    the project folder, which is created if it is missing.

    Raises ServerUnavailableError when the server does not respond, and TrackingError
    for a database that cannot be opened.
    """
    # They log each error with its traceback; an error is raised, too.
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    uri = store_address()
    if uri.startswith("http"):
        _check_server(uri)
    mlflow.set_tracking_uri(uri)
    try:
        if uri.startswith(SQLITE):
            new_store.create(Path(uri.removeprefix(SQLITE)))
            check_database(Path(uri.removeprefix(SQLITE)))
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # migrates the database
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        place = without_passwords(uri)
        raise TrackingError(f"MLflow store {place}: {explain(error)}") from None
    if uri.startswith(SQLITE):
        with sqlite3.connect(uri.removeprefix(SQLITE)) as connection:
            # The mode is kept in the file. With it, readers such as the UI do not wait
            # for the writer.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return client


def _check_server(uri: str) -> None:
    """Raise ServerUnavailableError if the server does not respond within 10 s."""
    # urllib would take a user and a password for a part of the name of the host.
    address = IN_ADDRESS.sub("", uri.rstrip("/"))
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=10):
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
    names. The tags of an experiment that another folder describes stay as they are.
    """
    experiment_id = get_or_create_experiment(client, dataset.name)
    if not describes(client, experiment_id):
        return experiment_id
    description = descriptions.experiment(dataset, experiment_id, digest=digest)
    tags = views.best_view(dataset) | {
        mlflow_ui.EXPERIMENT_KIND_TAG: mlflow_ui.EXPERIMENT_KIND,
        "mlflow.note.content": description,
        TASK: dataset.task,
        METRIC: dataset.metric,
        ownership.FOLDER: folder_identity(),
    }
    for name, value in tags.items():
        client.set_experiment_tag(experiment_id, name, value)
    return experiment_id


def describes(client: MlflowClient, experiment_id: str) -> bool:
    """Return whether this folder sets the tags of an experiment, such as its metric and
    its description: the first folder does, and then that of the champion.
    """
    owner = client.get_experiment(experiment_id).tags.get(ownership.FOLDER)
    return owner in (None, folder_identity())


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
        try:
            client.restore_experiment(experiment.experiment_id)
        except MlflowException:
            again = client.get_experiment(experiment.experiment_id)
            if again.lifecycle_stage == "deleted":  # nobody else has restored it
                raise
    return str(experiment.experiment_id)


def close_stale_runs(
    client: MlflowClient,
    experiment_id: str,
    *,
    heartbeat_timeout: float | None = ownership.HEARTBEAT_TIMEOUT_S,
    every_folder: bool = False,
) -> int:
    """Close the stale runs of an experiment that belong to this folder, or to every
    folder, as KILLED (`ownership.close_stale_runs`); return their number.
    """
    running = search_runs(client, experiment_id, "attributes.status = 'RUNNING'")
    return ownership.close_stale_runs(
        client,
        running if every_folder else ownership.own(running),
        heartbeat_timeout=heartbeat_timeout,
    )


def close_stale_runs_of_store(*, heartbeat_timeout: float | None = None) -> int:
    """Close the stale runs in all experiments of the store; return their number.

    A run is stale when its driver ran on this machine and has crashed; with
    `heartbeat_timeout` also when the last heartbeat of its driver on another machine is
    more than that many seconds old. The runs may belong to any folder.
    """
    client = open_store()
    return sum(
        close_stale_runs(
            client,
            experiment.experiment_id,
            heartbeat_timeout=heartbeat_timeout,
            every_folder=True,
        )
        for experiment in client.search_experiments()
    )


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
