"""`ftml reproduce`: where a run comes from, and what is said when that is unknown."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import pytest
from typer.testing import CliRunner

from pipelines.cli import records, reproduction
from pipelines.cli.app import app
from pipelines.cli.verification import Compared, compared, verdict
from pipelines.params.keys import data_digest, study_key
from pipelines.params.read import read_params
from pipelines.stages import tables
from pipelines.tracking import client as tracking_client
from tests.conftest import ROOT, forget_store

pytestmark = pytest.mark.slow

PARAMS = """
datasets:
  tables:
    diabetes: {source: "sklearn:diabetes", task: regression, baseline: other}
experiments:
  diabetes:
    ridge: {trials: 3}
    other: {family: ridge}
"""


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    command = ["git", *identity, *arguments]
    return subprocess.check_output(command, text=True).strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that holds the code of this one and small params."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("ftml", "pipelines"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(PARAMS)
    git("init", "--quiet", str(folder))
    git("-C", str(folder), "add", "--all")
    git("-C", str(folder), "commit", "--quiet", "--message", "All of it")
    return folder


@pytest.fixture
def project(
    repository: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Go to the repository, with an empty store."""
    monkeypatch.chdir(repository)
    if not Path("mlflow.db").exists():
        shutil.copy(empty_store, "mlflow.db")
    yield repository
    forget_store()


def record(
    *, dataset: str = "diabetes", digest: str = "digest", **tags: str
) -> tuple[str, str]:
    """Record a study and one trial of it; return the ids of their runs."""
    ridge = read_params().experiments[dataset][0]
    client = tracking_client.open_store()
    experiment = tracking_client.open_experiment(client, ridge.dataset, digest=digest)
    about = {
        "ftml.role": "study",
        "ftml.study": "ridge",
        "ftml.key": study_key(ridge, digest),
        "ftml.data": digest,
        "mlflow.source.git.commit": git("rev-parse", "HEAD"),
    }
    study = client.create_run(experiment, tags=about | tags).info.run_id
    child = {"ftml.role": "trial", "ftml.index": "2", "mlflow.parentRunId": study}
    trial = client.create_run(experiment, tags=child, run_name="ridge, trial 2")
    client.log_param(trial.info.run_id, "alpha", "0.5")
    return study, trial.info.run_id


def reproduce(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["reproduce", *arguments])


def error_of(run: str) -> str:
    result = reproduce(run)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return str(line.removeprefix("error: "))


def test_the_commands_that_make_a_trial_again_are_printed(project: Path) -> None:
    _, trial = record()
    result = reproduce(trial)
    assert result.exit_code == 0, result.output
    commands = (
        f"git checkout {git('rev-parse', 'HEAD')}\n"
        "make setup\ndvc repro experiment@diabetes\n"
    )
    assert commands in result.stdout
    assert "trial 2 of ridge" in result.stdout
    assert "alpha=0.5" in result.stdout
    assert "stage tables@diabetes, from sklearn:diabetes" in result.stdout
    assert "trials: 3" in result.stdout
    assert "other" not in result.stdout, "only this study is shown"


def test_a_run_whose_changes_were_committed_after_it_is_found_at_head(
    project: Path,
) -> None:
    params = Path("params.yaml").read_text()
    before = git("rev-parse", "HEAD")
    Path("params.yaml").write_text(params.replace("trials: 3", "trials: 4"))
    study, _ = record()
    assert error_of(study).startswith("dirty tree: code, params or data of ridge")
    git("commit", "--quiet", "--all", "--message", "After the run")
    result = reproduce(study)
    git("reset", "--quiet", "--hard", before)
    assert result.exit_code == 0, result.output
    assert "(After the run)" in result.stdout
    assert f"started  at commit {before} with changes" in result.stdout
    assert f"git checkout {before}" not in result.stdout


def test_a_run_of_a_project_without_the_code_of_ftml_is_found_in_its_subfolder(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "repository/own"
    (own / "pipelines").mkdir(parents=True)
    (own / "pipelines/__init__.py").write_text("raise ImportError('it is the user's')")
    (own / "params.yaml").write_text(PARAMS.replace("sklearn:", "file:../"))
    monkeypatch.chdir(own)
    shutil.copy(empty_store, "mlflow.db")
    git("init", "--quiet", "..")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Start")
    study, trial = record()
    result = reproduce(trial)
    assert result.exit_code == 0, result.output
    assert f"code     of the installed ftml {metadata.version('ftml')}" in result.stdout
    assert f"pip install 'ftml[pipeline]=={metadata.version('ftml')}'" in result.stdout
    assert "make setup" not in result.stdout
    assert "PYTHONPATH" not in reproduction.environment(own)
    with reproduction.checked_out(reproduction.find(study)) as clone:
        outside = clone / "../diabetes"  # of the source file:../diabetes
        assert "ftml-reproduce-" in str(outside.resolve())
    forget_store()


HOUSES = """
datasets: {tables: {houses: {source: "file:houses.csv", task: regression, target: y}}}
experiments: {houses: {ridge: {trials: 3}}}
"""


def houses(*, slope: float) -> str:
    """Return the text of a CSV file."""
    rows = (f"{i % 7},{slope * i}\n" for i in range(30))
    return "x,y\n" + "".join(rows)


@pytest.fixture
def own_project(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Go to a repository of a user's own params.yaml and CSV file, with one commit."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    Path("params.yaml").write_text(HOUSES)
    Path("houses.csv").write_text(houses(slope=1.0))
    Path(".gitignore").write_text("/data\n/mlflow.db\n/.ftml\n")
    git("init", "--quiet", ".")
    git("add", "--all")
    git("commit", "--quiet", "--message", "First houses")
    yield tmp_path
    forget_store()


def record_houses() -> str:
    """Prepare the data and record a study on them; return the id of its run."""
    tables.main("houses")
    digest = data_digest(Path("data/houses"))
    return record(dataset="houses", digest=digest)[0]


def commit_all(message: str) -> None:
    git("commit", "--quiet", "--all", "--message", message)


@pytest.mark.parametrize("first", ["run", "commit"])
def test_the_commit_of_a_changed_csv_is_named_whether_it_was_made_first_or_the_run(
    first: str, own_project: Path
) -> None:
    Path("houses.csv").write_text(houses(slope=2.0))
    if first == "commit":
        commit_all("Second houses")
    run = record_houses()
    if first == "run":
        assert "houses.csv" in error_of(run)
        commit_all("Second houses")
    second = git("rev-parse", "HEAD")
    Path("houses.csv").write_text(houses(slope=3.0))
    commit_all("Third houses")
    result = reproduce(run)
    assert result.exit_code == 0, result.output
    assert f"commit   {second} (Second houses)" in result.stdout


def test_another_version_of_the_installed_ftml_may_be_the_reason() -> None:
    said = reproduction._other_key("ridge", "abc", "key d", has_code=False)
    assert "another version of ftml than the installed" in said


def test_the_beginning_of_an_id_is_enough_if_one_run_has_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trial = record()
    client = mlflow.MlflowClient()
    assert records.run_of(client, trial[:12]).info.run_id == trial
    monkeypatch.setattr(records, "MIN_PREFIX", 1)
    experiment = client.get_experiment_by_name("diabetes").experiment_id
    first = [client.create_run(experiment).info.run_id[0] for _ in range(17)]
    (digit, *_) = (each for each in first if first.count(each) > 1)
    said = error_of(digit)
    assert said.startswith(f"the ids of several runs begin with {digit}: {digit}")
    assert len(re.findall(rf"\b{digit}[0-9a-f]{{31}} \(", said)) >= 2


def test_a_dirty_tree_is_called_so(project: Path) -> None:
    study, _ = record(**{"ftml.key": "f" * 64})
    assert error_of(study).startswith(
        "dirty tree: code, params or data of ridge were not those of commit "
    )


def test_a_study_that_was_never_committed_is_called_so(project: Path) -> None:
    study, _ = record(**{"ftml.study": "new"})
    assert "has no study new of diabetes" in error_of(study)


def test_a_commit_that_is_unknown_here_is_named(project: Path) -> None:
    study, _ = record(**{"mlflow.source.git.commit": "0123456789" * 4})
    assert f"commit {'0123456789' * 4} of run {study} is not in the" in error_of(study)


def test_runs_without_a_commit_or_of_another_kind_are_refused(project: Path) -> None:
    study, _ = record(**{"mlflow.source.git.commit": ""})
    assert "names no commit" in error_of(study)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("diabetes").experiment_id
    run = client.create_run(experiment, tags={"ftml.role": "comparison"})
    assert "is comparison, not a study, trial, fit" in error_of(run.info.run_id)
    assert error_of("none") == "no run none in this MLflow store"


def runs(**metrics: float) -> dict[tuple[str, int], Any]:
    class Info:
        run_name = "ridge"

    class Data:
        pass

    class Run:
        info, data = Info(), Data()

    run = Run()
    run.data.metrics = metrics
    return {("study", 0): run}


def differing(found: list[Compared]) -> list[str]:
    return [each.metric for each in found if each.differs]


def test_metrics_are_equal_to_the_bit_or_within_the_tolerance() -> None:
    ours = runs(a=0.1, b=float("nan"), c=2.0, search_seconds=1.0)
    theirs = runs(a=0.1 + 2**-56, b=float("nan"), c=2.0, search_seconds=2.0)
    assert differing(compared(ours, theirs, tolerance=0.0)) == ["a"]
    found = compared(ours, theirs, tolerance=1e-12)
    assert differing(found) == []
    assert "3 final metrics of 1 run, all equal within a relative 1e-12" in verdict(
        found, tolerance=1e-12
    )


def test_a_metric_that_lacks_or_is_no_number_on_one_side_differs() -> None:
    found = compared(
        runs(a=1.0, b=float("nan"), d=0.0),
        runs(b=1.0, c=1.0, d=0.0),
        tolerance=1e9,
    )
    assert differing(found) == ["a", "b", "c"]
    assert "not reproduced: 3 of 4 final metrics" in verdict(found, tolerance=1e9)
