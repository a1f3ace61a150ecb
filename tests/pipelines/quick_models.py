"""Logs the files of a model alone: MLflow takes seconds to log a model."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from mlflow.entities import LoggedModelOutput

from pipelines.params.read import Study
from pipelines.tracking import model_version
from pipelines.tracking.client import open_store


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log the models of studies by `log_model`. They cannot be served."""
    monkeypatch.setattr(model_version, "_log_model", log_model)


def log_model(study: Study, run_id: str, folder: Path, example: pd.DataFrame) -> str:
    """Log the files of a model; return the id of the logged model."""
    assert len(example)
    client = open_store()
    experiment = client.get_run(run_id).info.experiment_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = client.create_logged_model(experiment, "model", run_id)
    (place := Path(model.artifact_location.removeprefix("file://"))).mkdir(parents=True)
    (place / "MLmodel").write_text("")
    shutil.copytree(folder, place / "artifacts")
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)
