"""What the store has lost is logged again from the results on disk, once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

import ftml
from ftml.data import table
from pipelines.cli import study_table
from pipelines.cli.app import app
from pipelines.params.read import read_params
from pipelines.stages import experiment
from pipelines.study.folds import read_folds
from pipelines.study.metrics import load_run_metadata
from pipelines.study.restore import RestoreError, restore_outcome
from pipelines.tracking import local_store
from pipelines.tracking.local_store import store_address
from pipelines.tracking.log_again import Store
from pipelines.tracking.ownership import FOLDER
from pipelines.tracking.recorded import model_id_of
from tests.conftest import forget_store
from tests.pipelines import in_process, quick_figures, quick_models

pytestmark = pytest.mark.slow

PARAMS = """
datasets:
  tables:
    toy: {source: "file:none.csv", task: regression}
experiments:
  toy:
    ridge: {trials: 3, seeds: 2}
"""
STUDY = Path("experiments/toy/ridge")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Return a folder with the results of an experiment, and its store."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        quick_models.use(patch)
        quick_figures.use(patch)
        patch.chdir(folder)
        patch.setenv("FTML_IDENTITY", "a" * 32)
        patch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
        shutil.copy(empty_store, folder / "mlflow.db")
        (folder / "params.yaml").write_text(PARAMS)
        (folder / "data/toy").mkdir(parents=True)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 3))
        y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=60)
        split = np.repeat(["train", "valid", "test"], 20)
        table.write(folder / "data/toy", ftml.Table(X, y), split)
        in_process.use(patch)
        experiment.main("toy")
    forget_store()
    return folder


@pytest.fixture
def project(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Go to a copy of that folder, as Anna; its store is used where it is."""
    for name in ("data", "experiments", "params.yaml"):
        source, target = made / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    monkeypatch.chdir(tmp_path)
    quick_models.use(monkeypatch)
    quick_figures.use(monkeypatch)
    monkeypatch.setenv("FTML_IDENTITY", "a" * 32)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made}/mlflow.db")
    yield tmp_path
    forget_store()


def log(*arguments: str) -> str:
    """Return what `ftml log` prints; its status is 1 if it has not logged a study."""
    done = CliRunner().invoke(app, ["log", *arguments])
    assert done.exit_code == ("not logged" in done.stdout), done.output
    return done.stdout


def contents() -> dict[str, tuple[str, dict, dict]]:
    """Return status, params and metrics of all runs of the store, by name; every one is
    there once.
    """
    client = mlflow.MlflowClient()
    toy = client.get_experiment_by_name("toy")
    assert toy is not None
    runs = client.search_runs([toy.experiment_id])
    names = Counter(run.info.run_name for run in runs)
    assert set(names.values()) == {1}, names
    return {
        str(run.info.run_name): (run.info.status, run.data.params, run.data.metrics)
        for run in runs
    }


def test_an_outcome_is_read_back_as_it_was_written(project: Path) -> None:
    (study,) = read_params().experiments["toy"]
    outcome, decisions = restore_outcome(study, read_folds(study))
    assert len(outcome.tried.trials) == len(decisions) == 3
    assert outcome.tried.seconds == load_run_metadata(STUDY).search_seconds
    assert [trial.config["seed"] for trial in outcome.fitted.trials.values()] == [1, 2]
    metrics = STUDY / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"trials": 3', '"trials": 4'))
    with pytest.raises(ValueError, match=r"do not give the values of metrics\.json"):
        restore_outcome(study, read_folds(study))


def test_results_are_logged_to_an_empty_store_as_training_has_logged_them(
    project: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    trained = contents()
    shutil.copy(empty_store, project / "mlflow.db")
    forget_store()
    monkeypatch.setenv("FTML_IDENTITY", "b" * 32)
    printed = log().splitlines()
    assert printed[0] == "toy/ridge: logged; the store lacked its run"
    assert "champion of toy in validation: ridge (models:/toy@champion)" in printed
    assert contents() == trained
    client = mlflow.MlflowClient()
    (run,) = client.search_runs(
        [client.get_experiment_by_name("toy").experiment_id],
        "tags.`ftml.role` = 'study'",
    )
    assert run.data.tags[FOLDER] == "b" * 32
    assert {each.path for each in client.list_artifacts(run.info.run_id, "figures")}
    address = f"sqlite:///{project}/mlflow.db"
    assert local_store.model_folder(address, "models:/toy@champion")
    assert {p: p.read_bytes() for p in files} == files, "nothing on disk is changed"

    assert log("toy").startswith("toy/ridge: in the store already\n")
    assert contents() == trained
    assert len(client.search_model_versions("name = 'toy'")) == 1


def test_results_that_another_folder_has_logged_are_not_logged_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents()
    monkeypatch.setenv("FTML_IDENTITY", "b" * 32)
    assert "toy/ridge: in the store already, logged by anna" in log()
    assert contents() == before


def delete_version(client: MlflowClient) -> None:
    client.delete_registered_model("toy")


def delete_model_files(client: MlflowClient) -> None:
    for each in client.search_model_versions("name = 'toy'"):
        model = client.get_logged_model(model_id_of(each))
        shutil.rmtree(model.artifact_location.removeprefix("file://"))


def delete_artifacts(client: MlflowClient) -> None:
    shutil.rmtree(study_run(client).info.artifact_uri.removeprefix("file://"))


def delete_trial(client: MlflowClient) -> None:
    parent = study_run(client)
    children = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], children)
    (lost, *_) = [run for run in runs if run.data.tags["ftml.role"] == "trial"]
    client.delete_run(lost.info.run_id)


def end_as_killed(client: MlflowClient) -> None:
    client.set_terminated(study_run(client).info.run_id, "KILLED")


def study_run(client: MlflowClient) -> mlflow.entities.Run:
    toy = client.get_experiment_by_name("toy")
    assert toy is not None
    role = "tags.`ftml.role` = 'study'"
    (run,) = client.search_runs([toy.experiment_id], role)
    return run


@pytest.mark.parametrize(
    ("lose", "lacked"),
    [
        (delete_version, "its registered model"),
        (delete_model_files, "the files of its model"),
        (delete_artifacts, "artifacts"),
        (delete_trial, "1 of the runs of its trials"),
        (end_as_killed, "the end of its run (KILLED)"),
    ],
)
def test_the_stage_logs_again_what_was_lost_and_nothing_else(
    project: Path,
    lose: Callable[[MlflowClient], None],
    lacked: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents()
    lose(mlflow.MlflowClient())
    experiment.main("toy")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "ridge: reused"
    assert printed[1] == f"ridge: logged again, since MLflow lacked {lacked}"
    assert contents() == before
    client = mlflow.MlflowClient()
    (version,) = client.search_model_versions("name = 'toy'")
    assert load_run_metadata(STUDY).mlflow.model_version == str(version.version)
    address = store_address()
    assert local_store.model_folder(address, "models:/toy@champion") is not None
    experiment.main("toy")
    assert capsys.readouterr().out == "ridge: reused\n"


def test_without_results_or_with_others_the_command_says_what_to_run(
    project: Path,
) -> None:
    params = Path("params.yaml")
    params.write_text(PARAMS.replace("trials: 3", "trials: 4"))
    printed = log()
    assert "toy/ridge: not logged, it has results of other params" in printed
    assert "`dvc repro experiment@toy`" in printed
    shutil.rmtree("experiments")
    done = CliRunner().invoke(app, ["log"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no results in experiments/: run `dvc pull`" in done.stderr
    assert "unknown experiment 'tyo'; nearest: toy" in (
        CliRunner().invoke(app, ["log", "tyo"]).stderr
    )


def test_results_that_contradict_one_another_do_not_stop_the_others(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def contradict(*_: object) -> list[str]:
        raise RestoreError("its tables do not give the values of metrics.json")

    monkeypatch.setattr(Store, "log_missing", contradict)
    monkeypatch.setattr(local_store, "has_study", lambda *_, **__: False)
    assert log().startswith("toy/ridge: not logged, its tables do not give the values")
    experiment.main("toy")
    printed = capsys.readouterr()
    assert printed.out.startswith("ridge: reused\n")
    assert printed.err.startswith("ridge: not logged again, its tables do not give")


def test_a_store_without_the_results_names_the_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(ValueError, match="`ftml log` writes the results in exper"):
        study_table.read("toy")
