"""The command `ftml`: what it lists, shows, compares and predicts, and its errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from scipy.stats import t as student_t
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

import ftml
from ftml.core import families, family
from ftml.data import Splits
from ftml.data.columns import numbers
from ftml.data.table import RawTable
from ftml.predictor import interface_of
from ftml.tasks import regression
from pipelines.cli import stored_models
from pipelines.cli.app import app
from pipelines.cli.catalogue import allowed, outline, settings, written
from pipelines.tracking import client as tracking_client
from pipelines.tracking import served_model
from tests.conftest import ROOT, forget_store


def ftml_command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="ftml")


def error_of(*arguments: str) -> str:
    """Return the one line that a command leaves as its error."""
    result = ftml_command(*arguments)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert result.stdout == ""
    return line.removeprefix("error: ")


def test_every_family_is_listed_as_its_module_says() -> None:
    printed = ftml_command("families").stdout
    for name in families():
        kind, found = family(name), outline(name)
        assert (found.task, found.chapter, found.source) == (
            kind.task,
            kind.chapter,
            kind.source,
        )
        assert f" {name} " in printed
        assert found.title


def test_the_version_is_that_of_the_package() -> None:
    assert ftml_command("--version").stdout == f"ftml {metadata.version('ftml')}\n"


def test_families_of_a_task_or_chapter_stand_alone() -> None:
    printed = ftml_command("families", "--task", "embedding").stdout
    listed = {name for name in families() if f" {name} " in printed}
    assert listed == {"glove", "ppmi_svd", "skipgram"}
    printed = ftml_command("families", "--chapter", "optimization").stdout
    assert " saga " in printed
    assert " ridge " not in printed
    assert "nearest: density" in error_of("families", "--task", "densty")
    assert "unknown chapter 'x'" in error_of("families", "--chapter", "x")


def test_a_family_is_shown_with_formula_fields_and_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no params.yaml in this folder" in ftml_command("show", "ridge").stdout
    Path("params.yaml").write_text(
        "datasets: {tables: {diabetes: {source: 'sklearn:diabetes', task: regression}}}"
        "\nexperiments: {diabetes: {ridge: {}}}\n"
    )
    printed = ftml_command("show", "ridge").stdout
    assert "theta = argmin (1/n) |y - X theta - b|^2" in printed
    assert 'Source: FTML lecture 9, "Ridge regression".' in printed
    (row,) = (line for line in printed.splitlines() if line.startswith(" alpha"))
    assert "0.001 " in row
    assert "number ≥ 0" in row
    assert "log_uniform: [1e-06, 1000]" in row
    assert "L2 penalty, in the units of the mean squared loss" in row
    assert "Trains on: Table" in printed
    assert "Datasets of params.yaml: diabetes" in printed
    assert "Studies of params.yaml: diabetes/ridge" in printed
    assert "nearest: ridge" in error_of("show", "rigde")


def test_every_field_of_every_family_can_be_said() -> None:
    for name in families():
        for each in settings(family(name).Config):
            assert each.default, f"{name}.{each.name}"
            assert each.allowed, f"{name}.{each.name}"
            assert each.about, f"{name}.{each.name} has no docstring"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number > 0, ≤ 1"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "whole number or null"),
        ({"enum": ["a", "b"], "type": "string"}, "a, b"),
        ({"type": "array", "items": {"type": "string"}}, "list of: text"),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"const": 3}]},
            "[whole number, 3]",
        ),
        ({}, "any value"),
    ],
)
def test_what_a_field_allows_is_said_in_words(schema: dict, words: str) -> None:
    assert allowed(schema) == words


def test_a_distribution_is_written_as_params_yaml_has_it() -> None:
    from ftml.config import Choice, Integers, LogUniform

    assert written(LogUniform(1e-6, 10)) == "log_uniform: [1e-06, 10]"
    assert written(Integers(1, 9)) == "integers: [1, 9]"
    assert written(Choice("adam", True)) == "choice: [adam, true]"


@pytest.mark.slow
def test_the_installed_command_says_usage_errors_with_status_2_and_imports_late() -> (
    None
):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONPROFILEIMPORTTIME": "1",
    }
    command = [sys.executable, "-m", "pipelines.cli", "families"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert " ridge " in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "mlflow", "ray", "dvc"}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "familes"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "No such command 'familes'" in done.stderr
    assert "Traceback" not in done.stderr


class Recorder:
    """Writes runs into a store as the pipeline does."""

    def __init__(self, client: mlflow.MlflowClient, dataset: str, metric: str) -> None:
        self.client = client
        self.experiment = client.create_experiment(dataset)
        self.dataset = dataset
        client.set_experiment_tag(self.experiment, tracking_client.TASK, "regression")
        client.set_experiment_tag(self.experiment, tracking_client.METRIC, metric)

    def study(
        self, name: str, start: int = 1, data: str = "d", **metrics: float
    ) -> str:
        tags = {
            "ftml.role": "study",
            "ftml.study": name,
            "ftml.family": "ridge",
            "ftml.data": data,
        }
        run = self.client.create_run(
            self.experiment, tags=tags, run_name=name, start_time=start
        ).info.run_id
        seconds = {"search_seconds": 12.0, "fit_seconds": 0.5}
        for key, value in (seconds | metrics).items():
            self.client.log_metric(run, key, value)
        self.client.log_param(run, "seeds", "5")
        self.client.set_terminated(run, "FINISHED", end_time=start + 1)
        return str(run)


@pytest.fixture
def recorder(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Recorder]]:
    """Go to a folder with an empty store; return what makes an experiment in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    yield lambda dataset, metric: Recorder(
        tracking_client.open_store(), dataset, metric
    )
    forget_store()


def test_the_studies_of_a_dataset_are_compared_with_intervals_best_first(
    recorder: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    diabetes = recorder("diabetes", "mse")
    diabetes.study("old", data="earlier data", test_mse=1.0)
    gone = diabetes.study("gone", start=2, test_mse=1.5)
    diabetes.client.set_tag(gone, "ftml.current", "false")
    diabetes.study("twice", start=2, test_mse=2.0)
    diabetes.study("twice", start=3, test_mse=30.0, valid_mse=20.0)
    best = diabetes.study(
        "best", start=4, test_mse=10.0, test_mse_standard_error=0.5, test_mae=7.0
    )
    client = diabetes.client
    client.create_registered_model("diabetes")
    fit = client.create_run(diabetes.experiment, tags={"mlflow.parentRunId": best})
    version = client.create_model_version(
        "diabetes", f"{fit.info.artifact_uri}/model", run_id=fit.info.run_id
    )
    client.set_registered_model_alias("diabetes", "champion", version.version)

    result = ftml_command("compare", "diabetes")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    half = student_t.ppf(0.975, 4) * 0.5
    interval = [f"{10 - half:.3f}", "to", f"{10 + half:.2f}"]
    assert lines[2] == ["best", "ridge", "10.00", *interval, "5", "12.5", "champion"]
    assert lines[3] == ["twice", "ridge", "30.00", "5", "20.00", "12.5"]
    shown = {line[0] for line in lines}
    assert "old" not in shown, "it is of other data"
    assert "gone" not in shown, "no study has this name any more"
    assert "less is better" in result.stdout

    by_mae = ftml_command("compare", "diabetes", "--metric", "mae").stdout
    assert "7.000" in by_mae
    assert "twice" not in by_mae
    assert "nearest: mse" in error_of("compare", "diabetes", "--metric", "msee")
    assert "nearest: diabetes" in error_of("compare", "diabets")

    uri = f"sqlite:///{Path('mlflow.db').resolve()}"
    (elsewhere := Path("elsewhere")).mkdir()
    monkeypatch.chdir(elsewhere)
    forget_store()
    assert "no MLflow store: there is no mlflow.db" in error_of("compare", "diabetes")
    assert not Path("mlflow.db").exists(), "reading makes no store"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "champion" in ftml_command("compare", "diabetes").stdout


def test_an_unknown_claim_is_one_short_line() -> None:
    assert error_of("claims", "xyzzy") == (
        "unknown claim 'xyzzy'; `ftml claims` lists all"
    )
    assert "nearest: convex_losses" in error_of("claims", "convex_loses")


def test_a_database_that_does_not_answer_is_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("select 1", {}, Exception("refused"))

    monkeypatch.setattr(tracking_client, "MlflowClient", refuse)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://u:secret@127.0.0.1:9/x")
    said = error_of("compare", "diabetes")
    assert said == (
        "MLflow store postgresql://***@127.0.0.1:9/x: (builtins.Exception) refused"
    )
    forget_store()


def test_closing_stale_runs_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = error_of("close-stale-runs")
    assert said.startswith(f"no MLflow store: there is no mlflow.db in {tmp_path}; run")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    said = error_of("compare", "diabetes")
    assert said.startswith(
        "the MLflow server at MLFLOW_TRACKING_URI=http://127.0.0.1:9"
    )
    forget_store()


@pytest.mark.slow
def test_a_model_predicts_the_rows_of_a_file_and_says_which_columns_do_not_fit(
    recorder: Callable[..., Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder("toy", "mse")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = X @ [1.0, -2.0] + 3.0
    raw = RawTable(X, y, ("a", "b"), columns=numbers(("a", "b")))
    splits = Splits(raw).prepared()
    ridge = family("ridge")
    config = ridge.Config(alpha=0.0)
    model = ftml.fit(config, splits).model
    ftml.save(tmp_path / "model", model, config, interface_of(regression, splits))
    predictor = ftml.load(tmp_path / "model")
    example = predictor.example(raw)
    mlflow.set_experiment("toy")
    with warnings.catch_warnings(), mlflow.start_run() as run:
        warnings.simplefilter("ignore")  # MLflow's hints on types
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(ROOT / "pipelines/tracking/serving.py"),
            artifacts={"model": str(tmp_path / "model")},
            signature=served_model.signature(predictor, example),
            pip_requirements=[],
        )
    mlflow.MlflowClient().create_registered_model("toy")
    mlflow.register_model(logged.model_uri, "toy")

    def no_client(*_: object) -> Path:
        raise AssertionError("a local store is read without MLflow")

    rows = pd.DataFrame({"b": [1, 2], "a": [0, 5]})
    download = stored_models._download("models:/toy/1", tmp_path)
    assert stored_models._read(download, "")[0].columns == predictor.columns
    monkeypatch.setattr(stored_models, "_download", no_client)
    rows.to_csv("rows.csv", index=False)
    rows.to_parquet("rows.parquet")
    for file in ("rows.csv", "rows.parquet"):
        stored = ("models:/toy/1", f"runs:/{run.info.run_id}/model")
        for uri in (*stored, str(tmp_path / "model")):
            result = ftml_command("predict", uri, file, "-o", "out.csv")
            assert result.exit_code == 0, result.output
            found = pd.read_csv("out.csv")["prediction"]
            np.testing.assert_allclose(found, [1.0, 4.0], atol=1e-12)

    uri = "models:/toy/1"
    rows.rename(columns={"b": "B"}).to_csv("renamed.csv", index=False)
    said = error_of("predict", uri, "renamed.csv")
    assert said.endswith("renamed.csv: no column 'b'; known: B, a")
    rows.assign(a=["x", "1"]).to_csv("text.csv", index=False)
    said = error_of("predict", uri, "text.csv")
    assert said.startswith("text.csv: column a, line 2 holds 'x'; expected a number")
    rows.assign(id=["p", "q"], y=0).to_csv("more.csv", index=False)
    result = ftml_command("predict", uri, "more.csv")
    assert result.stderr == "more.csv: columns that are not used: id, y\n"
    assert result.stdout.startswith("prediction\n")
    rows[:0].to_csv("empty.csv", index=False)
    assert (
        error_of("predict", uri, "empty.csv")
        == "empty.csv: no rows: the file has a header only"
    )
    assert error_of("predict", uri, "mor.csv") == (
        "mor.csv: no such file; nearest: more.csv"
    )
    assert "expected one file .csv" in error_of("predict", uri, "rows.png")
    Path("broken.parquet").write_text("no")
    assert "not a table (" in error_of("predict", uri, "broken.parquet")
    said = error_of("predict", "models:/tox/1", file)
    assert said == "models:/tox/1: no such model: unknown model 'tox'; nearest: toy"
    assert "expected a model such as" in error_of("predict", "toy", file)
    assert "did you mean" in error_of("predict", str(tmp_path), file)
