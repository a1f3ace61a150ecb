"""Reads the MLflow store: the experiment of a dataset, and runs by their role."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

from ftml.config import nearest
from pipelines.tracking import client as tracking_client
from pipelines.tracking.local_store import (
    MAX_LISTED,
    MIN_PREFIX,
    existing_store,
    one_run,
    unlogged,
)

ROLES = ("study", "trial", "fit")


def open_existing_store() -> MlflowClient:
    """Return a client of the store: MLFLOW_TRACKING_URI, or `mlflow.db` in the project
    folder.

    Raises ValueError where there is none; no store is created.
    """
    existing_store()
    return tracking_client.open_store()


def experiment_of(client: MlflowClient, dataset: str) -> Experiment:
    """Return the experiment of a dataset. Raises ValueError if there is none."""
    found = client.get_experiment_by_name(dataset)
    if found is None:
        known = [each.name for each in client.search_experiments() if each.name]
        known = [name for name in known if name != "Default"]
        raise ValueError(
            f"nothing is recorded of a dataset {dataset!r}"
            + (nearest(dataset, known) if known else "; the store is empty")
            + unlogged()
        )
    return found


def run_of(client: MlflowClient, run_id: str) -> Run:
    """Return a run by its id, or by the beginning of its id that no other run has.

    Raises ValueError for a run that does not exist, and for a beginning that several
    runs have, which are listed.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{MIN_PREFIX},32}}", run_id):
        raise ValueError(f"no run {run_id} in this MLflow store")
    if len(run_id) == 32:
        return client.get_run(run_id)
    experiments = [each.experiment_id for each in client.search_experiments()]
    condition = f"attributes.run_id LIKE '{run_id}%'"
    found = client.search_runs(experiments, condition, max_results=MAX_LISTED + 1)
    one_run(run_id, [(run.info.run_id, str(run.info.run_name)) for run in found])
    return found[0]


def role(run: Run) -> str:
    """Return the role of a run: study, trial, fit or comparison; "" if it has none."""
    return str(run.data.tags.get("ftml.role", ""))


def children(client: MlflowClient, study: Run) -> list[Run]:
    """Return the trials and final fits of a study, in order."""
    of_study = f"tags.`mlflow.parentRunId` = '{study.info.run_id}'"
    found = tracking_client.search_runs(client, study.info.experiment_id, of_study)
    return sorted(found, key=lambda run: (role(run) != "trial", role_and_index(run)[1]))


def role_and_index(run: Run) -> tuple[str, int]:
    """Return the role of a run and its index, which identify it within its study."""
    return role(run), int(run.data.tags.get("ftml.index", 0))
