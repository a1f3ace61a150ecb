"""What the store has of a finished study, and what it lacks.

A study is found by its key: the run of this folder, or else a finished run of another
folder, which may be shown and whose model may be used, and is never written to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines.study.results import FILES
from pipelines.tracking.client import search_runs
from pipelines.tracking.ownership import is_own

FINISHED = "FINISHED"


@dataclass(frozen=True)
class Recorded:
    """The run of a finished study in the store, and the version of its model.

    Attributes:
        run: the run of the study.
        is_own: whether the run belongs to this folder.
        version: version of the registered model; "" for none.
        model_id: id of the logged model of that version.
    """

    run: Run
    is_own: bool
    version: str = ""
    model_id: str = ""

    @property
    def run_id(self) -> str:
        return str(self.run.info.run_id)


def find(client: MlflowClient, experiment_id: str, key: str) -> Recorded | None:
    """Return what the store has of the study with a key; None if it has no run of this
    folder, and no finished run of another one.
    """
    condition = f"tags.`ftml.key` = '{key}' and tags.`ftml.role` = 'study'"
    runs = search_runs(client, experiment_id, condition)
    others = [run for run in runs if not is_own(run) and run.info.status == FINISHED]
    own = [run for run in runs if is_own(run)]
    for run in (*own, *others):
        found = _with_version(client, run, is_own=run in own)
        if found.is_own or found.version:
            return found
    return None


def children(client: MlflowClient, study: Run) -> list[Run]:
    """Return the runs of the trials and final fits of a study."""
    condition = f"tags.`mlflow.parentRunId` = '{study.info.run_id}'"
    return search_runs(client, study.info.experiment_id, condition)


def _with_version(client: MlflowClient, study: Run, *, is_own: bool) -> Recorded:
    """Return the run of a study with the version that its first final fit has
    registered.
    """
    for run in children(client, study):
        tags = run.data.tags
        if (tags.get("ftml.role"), tags.get("ftml.index")) == ("fit", "0"):
            for each in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
                return Recorded(study, is_own, str(each.version), model_id_of(each))
    return Recorded(study, is_own)


def missing(
    client: MlflowClient,
    recorded: Recorded | None,
    folder: Path,
    *,
    n_trials: int,
    n_fits: int,
) -> list[str]:
    """Return what the store lacks of a finished study, as names of things; empty for a
    study of which it has all, and for one that another folder has logged.

    folder: the results of the study in `experiments/`.
    """
    if recorded is None:
        return ["its run"]
    if not recorded.is_own:
        return []
    lacking = []
    if recorded.run.info.status != FINISHED:
        lacking.append(f"the end of its run ({recorded.run.info.status})")
    ended = {
        (run.data.tags.get("ftml.role"), run.data.tags.get("ftml.index"))
        for run in children(client, recorded.run)
        if run.info.status in (FINISHED, "FAILED")
    }
    for role, name, count in (("trial", "trial", n_trials), ("fit", "fit", n_fits)):
        if lost := {(role, str(index)) for index in range(count)} - ended:
            lacking.append(f"{len(lost)} of the runs of its {name}s")
    if not _has_artifacts(client, recorded.run, folder):
        lacking.append("artifacts")
    if not recorded.version:
        lacking.append("its registered model")
    elif not has_model_files(client, recorded.model_id):
        lacking.append("the files of its model")
    return lacking


def _has_artifacts(client: MlflowClient, run: Run, folder: Path) -> bool:
    """Return whether a run has the result files and the figures of a folder."""
    found = {each.path for each in client.list_artifacts(run.info.run_id)}
    found |= {each.path for each in client.list_artifacts(run.info.run_id, "figures")}
    figures = {f"figures/{path.name}" for path in (folder / "figures").glob("*.png")}
    return {*FILES, *figures} <= found


def model_id_of(version: ModelVersion) -> str:
    """Return the id of the logged model of a version: databases of MLflow keep it in
    the source alone, `models:/<id>`. "" for a version with another source.
    """
    found = re.fullmatch("models:/(m-[0-9a-f]+)", version.source or "")
    return found[1] if found else version.model_id or ""


def has_model_files(client: MlflowClient, model_id: str) -> bool:
    """Return whether a logged model exists and has its files; True for an unknown id,
    of which nothing can be said.
    """
    if not model_id:
        return True
    try:
        listed = client.list_logged_model_artifacts(model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return "MLmodel" in {each.path for each in listed}
