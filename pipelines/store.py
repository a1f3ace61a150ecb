"""The MLflow store: opened, its experiments found or made, its orphans closed."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path

# Read by MLflow when it is imported: usage is not reported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipelines.params import Dataset

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"


class TrackingError(ValueError):
    """The store cannot be used."""


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
    client = MlflowClient(uri)
    try:
        client.search_experiments(max_results=1)  # creates and migrates the database
    except (MlflowException, OSError) as error:
        raise TrackingError(f"MLflow store {uri}: {error}") from None
    if uri.startswith("sqlite:///"):
        with sqlite3.connect(uri.removeprefix("sqlite:///")) as connection:
            # Stays in the file: readers (the UI) do not wait for the writer.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return client


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"the MLflow server at MLFLOW_TRACKING_URI={uri} does not answer: {reason}"
        ) from None


def open_experiment(client: MlflowClient, dataset: Dataset, *, digest: str) -> str:
    """Return the id of the MLflow experiment of a dataset, made or restored at need."""
    experiment = client.get_experiment_by_name(dataset.name)
    if experiment is None:
        local = mlflow.get_tracking_uri().startswith("sqlite:")
        folder = (Path(ARTIFACTS) / dataset.name).resolve().as_uri() if local else None
        identity = client.create_experiment(dataset.name, artifact_location=folder)
    else:
        identity = experiment.experiment_id
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(identity)
    about = (
        f"Every study of the dataset `{dataset.name}` ({dataset.task}), compared by "
        f"`test_{dataset.metric}` ({dataset.mode}).\n\n"
        f"Source: `{dataset.block.source}`; data `{digest}`."
    )
    client.set_experiment_tag(identity, "mlflow.note.content", about)
    return str(identity)


def reap(client: MlflowClient, experiment: str) -> int:
    """Close the runs of an experiment whose driver has died on this machine; return how
    many.
    """
    closed = 0
    for run in search(client, experiment, "attributes.status = 'RUNNING'"):
        host, _, pid = run.data.tags.get("ftml.driver", "").rpartition(":")
        if host == socket.gethostname() and not _alive(int(pid)):
            client.set_tag(run.info.run_id, "ftml.closed", "its driver died")
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
    except MlflowException:
        return False
    return True
