"""The commands of `ftml` that run stages and maintain an MLflow store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from ruamel.yaml import YAML

from pipelines.cli import commands_stages
from pipelines.cluster import job
from pipelines.common.errors import stage_process
from pipelines.datasets import large_corpus
from tests.conftest import ROOT, forget_store, modules_imported_by, stage
from tests.pipelines.cli.test_app import error_of, ftml_command

PARAMS = """
datasets:
  tables:
    iris: {source: "sklearn:iris", task: classification}
"""


@pytest.fixture
def project(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Change to a project with one dataset and an empty store."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(PARAMS + "experiments: {}\n")
    yield tmp_path
    forget_store()


def test_the_stages_of_the_command_are_those_of_dvc_yaml() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert sorted(commands_stages.stage_names()) == sorted([*stages, "installed"])
    for name, section in stages.items():
        command = section.get("do", section)["cmd"]
        assert command.startswith(f"python -m pipelines.stages.{name}")


def test_a_stage_runs_by_its_name(project: Path) -> None:
    result = ftml_command("stage", "tables", "iris")
    assert result.exit_code == 0, result.output
    assert (project / "data/iris/table.parquet").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "iris"], "unknown stage 'table'; nearest: tables"),
        (["tables"], "usage: ftml stage tables DATASET"),
        (["report", "iris"], "usage: ftml stage report"),
        (["claims", "linear"], "usage: ftml stage claims"),
        (["tables", "isis"], "unknown dataset 'isis'; known to tables: iris"),
    ],
)
def test_a_wrong_stage_or_key_is_one_error(
    project: Path, arguments: list[str], message: str
) -> None:
    assert error_of("stage", *arguments) == message


def test_a_stage_of_dvc_yaml_reports_a_wrong_key_as_one_error(project: Path) -> None:
    for module, *key in (("tables",), ("tables", "isis"), ("report", "x")):
        process = stage(project, f"pipelines.stages.{module}", *key)
        printed, _ = process.communicate(timeout=60)
        assert (process.returncode, printed.count("\n")) == (1, 1)
        assert printed.startswith("error: ")


SLEEPS = """
import time
from pipelines.common.errors import run_stage

def main():
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("closed", flush=True)

run_stage("sleeps", main)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "printed"),
    [
        (signal.SIGINT, 130, "closed\ninterrupted; rerun the stage to complete it\n"),
        (
            signal.SIGTERM,
            143,
            "closed\nended by SIGTERM; rerun the stage to complete it\n",
        ),
    ],
)
def test_a_stopped_stage_cleans_up_and_exits_with_the_status_of_the_signal(
    number: int, status: int, printed: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (status, printed)


def test_the_handler_of_sigterm_is_restored_after_a_stage() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stage_process():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tables", "experiment", "claims"])
def test_a_stage_starts_without_what_it_may_not_need(name: str) -> None:
    found = modules_imported_by(f"pipelines.stages.{name}")
    assert not found & {"typer", "mlflow", "ray", "dvc"}


def test_a_job_takes_the_names_of_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str]]] = []
    for name in ("submit", "run"):
        monkeypatch.setattr(job, name, lambda stages, n=name: calls.append((n, stages)))
    for arguments in (["submit"], ["run", "tables@iris", "report"]):
        assert ftml_command("job", *arguments).exit_code == 0
    assert calls == [("submit", []), ("run", ["tables@iris", "report"])]
    monkeypatch.undo()
    assert "got 'a; rm b'" in error_of("job", "run", "a; rm b")
    assert ftml_command("job", "send").exit_code == 2


def test_a_corpus_is_written_to_its_file_or_to_that_of_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets: list[Path] = []
    monkeypatch.setattr(large_corpus, "assemble", targets.append)
    assert ftml_command("corpus").exit_code == 0
    assert ftml_command("corpus", "words.gz").exit_code == 0
    assert targets == [Path("corpora/large.txt.gz"), Path("words.gz")]


def test_stale_runs_are_closed_after_a_heartbeat_timeout_in_minutes(
    project: Path,
) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    hour_ago = int(1000 * (time.time() - 3600))
    experiment = client.create_experiment("toy")
    tags = {"ftml.driver": "elsewhere:1"}
    client.create_run(experiment, tags=tags, start_time=hour_ago)
    for arguments, closed in (([], 0), (["90"], 0), (["30"], 1)):
        option = ["--heartbeat-timeout"] if arguments else []
        result = ftml_command("close-stale-runs", *option, *arguments)
        assert result.stdout == f"closed {closed} run{'s' * (closed != 1)}\n"
    assert ftml_command("close-stale-runs", "--heartbeat-timeout", "x").exit_code == 2


def test_a_store_is_migrated_by_its_three_addresses(
    project: Path, empty_store: Path
) -> None:
    # MLflow caches stores by address, so other tests must not use this one.
    shutil.copy(empty_store, project / "moved.db")
    source, target = "sqlite:///mlflow.db", "sqlite:///moved.db"
    result = ftml_command("migrate", source, target, "served")
    assert result.stdout.startswith(
        "moved to sqlite:///moved.db: 1 experiments, 0 runs"
    )
    assert "SOURCE: expected a store" in error_of("migrate", "sqlite:///x", target, "s")
    assert ftml_command("migrate", source, target).exit_code == 2
