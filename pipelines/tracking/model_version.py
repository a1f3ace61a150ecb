"""The logged model of a study, and its version in the registry of MLflow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Run

from ftml.saving import load
from pipelines.common.project import folder_identity
from pipelines.params.read import Study
from pipelines.study.results import Outcome
from pipelines.tracking import champion as champions
from pipelines.tracking import descriptions, mlflow_internals, served_model
from pipelines.tracking.ownership import FOLDER
from pipelines.tracking.recorded import has_model_files, model_id_of


def model_outputs(client: MlflowClient, run_id: str) -> list[LoggedModelOutput]:
    """Return the models that a run has as outputs."""
    outputs = client.get_run(run_id).outputs
    return outputs.model_outputs if outputs else []


def register(
    client: MlflowClient,
    study: Study,
    run_id: str,
    folder: Path,
    example: pd.DataFrame,
    *,
    tags: Mapping[str, str],
) -> str:
    """Register the model that `ftml.save` has written to a folder, unless the run has a
    version already; return the version.

    run_id: the run of the final fit. example: a few inputs of the model.
    tags: tags of a new version.

    A model that the run has logged before is registered if it has its files. A
    version whose files are lost is removed and made again.
    """
    for known in client.search_model_versions(f"run_id = '{run_id}'"):
        if has_model_files(client, model_id_of(known)):
            return str(known.version)
        client.delete_model_version(known.name, known.version)
    ids = [each.model_id for each in model_outputs(client, run_id)]
    whole = [each for each in ids if has_model_files(client, each)]
    model_id = whole[-1] if whole else _log_model(study, run_id, folder, example)
    name = study.dataset.name
    if not client.search_registered_models(f"name = '{name}'"):
        description = descriptions.model(study.dataset)
        client.create_registered_model(name, description=description)
    experiment = client.get_run(run_id).info.experiment_id
    version = client.create_model_version(
        name,
        f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        tags=dict(tags),
        description=descriptions.version(study, experiment),
    )
    return str(version.version)


def _log_model(study: Study, run_id: str, folder: Path, example: pd.DataFrame) -> str:
    """Log the model of a folder; return the id of the logged model."""
    predictor = load(folder)
    mlflow_internals.skip_check_of_requirements()
    with (
        warnings.catch_warnings(),
        served_model.code_of(study) as code,
        mlflow.start_run(run_id=run_id),
    ):
        warnings.simplefilter("ignore")  # MLflow's hints on types of its signatures
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("serving.py")),
            artifacts={"model": str(folder)},
            code_paths=[code],
            signature=served_model.signature(predictor, example),
            pip_requirements=served_model.requirements(study),
        )
    return str(logged.model_id)


def version_tags(study_run: Run, outcome: Outcome) -> dict[str, str]:
    """Return the tags of a version, by which champions are compared.

    study_run: the run of the study.
    """
    study = outcome.study
    return {
        "study": study.name,
        "family": study.family.name,
        FOLDER: folder_identity(),
        champions.DATA: study_run.data.tags["ftml.data"],
        champions.METRIC: study.dataset.metric,
        champions.SCORE: repr(outcome.metrics().validation_score),
    }
