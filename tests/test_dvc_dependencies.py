"""What can change the output of a stage is a dependency of the stage in dvc.yaml."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipelines.common import stage_code, watched
from pipelines.params import kinds
from pipelines.params.kinds import KINDS
from pipelines.stages import sources
from tests.conftest import ROOT

DVC_YAML: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage) for name, stage in DVC_YAML["stages"].items()
}
PREPARING = [kind.stage for kind in KINDS]
"The stages that prepare data."
CHECKS = ("ftml.core", "ftml.tasks", "ftml.evidence")
"""What the package params imports to check studies and claims. These imports are not
followed for a stage that prepares data, whose values come from its own section."""


def source(name: str) -> Path | None:
    """Return the file of a module of the project; None for any other name."""
    path = ROOT.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if name.split(".")[0] in ("ftml", "pipelines") and file.exists():
            return file
    return None


def imported(path: Path) -> Iterator[str]:
    """Yield the names of all modules that a file may import, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_closure(module: str, *, skipped: Sequence[str]) -> set[str]:
    """Return the files, relative to the root, that running a module may import.

    skipped: modules whose import by the package params is not followed.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = source(name)
        if path is None or name in found:
            continue
        found[name] = path
        if name == kinds.__name__:  # it imports the records of all data kinds
            waiting += [f"{name}.{stage}" for stage in kinds.KIND_OF_STAGE]
        parents = [name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)]
        in_params = name.startswith("pipelines.params.")
        waiting += [
            each
            for each in imported(path)
            if not (in_params and each.startswith(tuple(skipped)))
        ]
        waiting += parents
    return {path.relative_to(ROOT).as_posix() for path in found.values()}


def missing(stage: str) -> set[str]:
    """Return the files that a stage may import and that no dependency covers."""
    command = re.search(r"python -m ([\w.]+)", STAGES[stage]["cmd"])
    assert command is not None
    prepares_data = any(out == "data/${key}" for out in STAGES[stage]["outs"])
    files = import_closure(command.group(1), skipped=CHECKS if prepares_data else ())
    covered = _covered(stage)
    return {file for file in files if file not in covered and _has_code(ROOT / file)}


def _covered(stage: str) -> set[str]:
    """Return the files of code on which a stage depends, relative to the root: those of
    its file of digests or, for the stage that writes these files, its own.
    """
    if stage == "sources":
        assert {"ftml", "pipelines"} <= set(STAGES[stage]["deps"])
        return {
            path.relative_to(ROOT).as_posix()
            for path in ROOT.rglob("pipelines/**/*.py")
        }
    assert f"{watched.CODE}/{stage}" in STAGES[stage]["deps"]
    files = stage_code.files_of_stage(stage)
    return {path.relative_to(ROOT).as_posix() for path in files}


def _has_code(file: Path) -> bool:
    """Return whether a file has more than a docstring."""
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in ast.parse(file.read_text()).body
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_may_import_is_a_dependency(stage: str) -> None:
    assert missing(stage) == set()


def test_each_stage_depends_on_its_code_and_no_stage_on_files_of_code() -> None:
    assert {*STAGES} == {*stage_code.CODE, "sources"}
    for stage in stage_code.CODE:
        assert all(
            each.startswith(("data/", "claims", "exp"))
            for each in STAGES[stage]["deps"]
        )
        assert f"pipelines/stages/{stage}.py" in _covered(stage)


def test_a_missing_dependency_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    without = [
        each for each in stage_code.CODE["domains"] if each != "pipelines/params"
    ]
    monkeypatch.setitem(stage_code.CODE, "domains", tuple(without))
    assert "pipelines/params/read.py" in missing("domains")


@pytest.mark.parametrize("stage", ["experiment", "claims", "tables"])
def test_the_report_and_the_command_line_rerun_no_experiment(stage: str) -> None:
    unrelated = ("pipelines/report/", "pipelines/cli/", "pipelines/stages/report.py")
    assert not [each for each in _covered(stage) if each.startswith(unrelated)]


@pytest.mark.parametrize("stage", PREPARING)
def test_a_default_value_of_a_schema_is_a_dependency(stage: str) -> None:
    schema = next(kind.schema for kind in KINDS if kind.stage == stage)
    file = source(schema.__module__)
    assert file is not None
    assert file.relative_to(ROOT).as_posix() in _covered(stage)


def test_a_changed_module_changes_the_files_of_the_stages_that_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in set().union(*map(stage_code.files_of_stage, stage_code.CODE)):
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(ROOT)).touch()
    monkeypatch.setattr(stage_code, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    before = stage_code.digests()
    assert watched.write_code(before) == set()
    results = {"experiment", "claims", "report"}
    cases: dict[str, set[str]] = {
        "ftml/data/tables.py": {*PREPARING} | results,
        "ftml/nn/layers.py": {"images"} | results,
        "ftml/families/linear/ols.py": results,
        "pipelines/stages/tables.py": {"tables"},
        "pipelines/datasets/new.py": {*PREPARING},
        "pipelines/tuning/driver.py": {"experiment"},
        "pipelines/cli/init.py": set(),
        "ftml/__pycache__/core.cpython-311.pyc": set(),
    }
    for name, stages in cases.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        after = stage_code.digests()
        assert {stage for stage in after if after[stage] != before[stage]} == stages
        assert watched.write_code(after) == ({name} if stages else set())
        before = after
    assert (watched.CODE / "tables").read_text() == before["tables"]


@pytest.mark.parametrize("stage", PREPARING)
def test_the_local_files_of_a_dataset_are_dependencies(stage: str) -> None:
    numbers = range(1, watched.N_FOLDERS + 1)
    links = [each for each in STAGES[stage]["deps"] if each.startswith("data/.sources")]
    assert links == [
        f"{watched.CODE}/{stage}",
        f"{watched.DATASETS}/${{key}}",
        f"{watched.FILES}/${{key}}",
        *(f"{watched.FOLDERS}/${{key}}/{number}" for number in numbers),
        f"{watched.NAMES}/${{key}}",
    ]
    for folder in (watched.STUDIES, watched.DATASETS, watched.EXPERIMENTS):
        assert f"{folder}/${{key}}" in STAGES["experiment"]["deps"]
    assert str(watched.NAMES) in STAGES["sources"]["outs"][0]


def test_params_need_not_have_every_kind_of_dataset_or_claims() -> None:
    (defaults,) = DVC_YAML["vars"]
    assert set(defaults["datasets"]) == set(PREPARING)
    needed = {
        stage["foreach"] for stage in DVC_YAML["stages"].values() if "foreach" in stage
    }
    assert needed == {
        *(f"${{datasets.{name}}}" for name in defaults["datasets"]),
        "${experiments}",
    }
    with_params = [name for name, stage in STAGES.items() if "params" in stage]
    assert with_params == [], "DVC parses params.yaml for each"
    outs = [next(iter(each)) for each in STAGES["sources"]["outs"]]
    assert str(sources.CLAIMS) in {*outs} & {*STAGES["claims"]["deps"]}
    assert str(sources.REPORT) in {*outs} & {*STAGES["report"]["deps"]}
    assert str(watched.CODE) in outs


def test_what_git_tracks_of_the_results_is_not_in_the_cache_nor_ignored() -> None:
    (metrics,) = STAGES["experiment"]["metrics"]
    assert metrics == {"metrics/${key}.json": {"cache": False, "persist": True}}
    assert {"reports/metrics.json": {"cache": False}} in STAGES["report"]["outs"]
    tracked = ["dvc.lock", "metrics/houses.json", "reports/metrics.json"]
    made = ["reports/index.html", "dvc_plots/index.html", "data/houses"]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *tracked, *made],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == made


def test_make_clean_keeps_what_git_tracks_of_the_results(tmp_path: Path) -> None:
    kept = ["dvc.lock", "metrics/houses.json", "reports/metrics.json"]
    removed = [
        "reports/index.html",
        "reports/claims/a.png",
        "data/houses/a",
        ".search/a",
    ]
    for name in (*kept, *removed):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    subprocess.run(["make", "-s", "clean"], cwd=tmp_path, check=True)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".toml"]
    names = {path.relative_to(tmp_path).as_posix() for path in left}
    assert names - {"Makefile", "requirements.lock"} == set(kept)


PARAMS = """
datasets:
  tables:
    houses: {source: "file:houses.csv", task: regression, target: y}
experiments:
  houses: {ols: {}}
"""


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of DVC in the current folder."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"PATH": tools, "DVC_NO_ANALYTICS": "true"}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def houses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project of one table, whose params.yaml has nothing else."""
    monkeypatch.chdir(tmp_path)
    for name in ("ftml", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, tmp_path)
    rows = "".join(f"{i},{i * i % 7},{2 * i + i * i % 7}\n" for i in range(30))
    Path("houses.csv").write_text(f"a,b,y\n{rows}")
    Path("params.yaml").write_text(PARAMS)
    return tmp_path


@pytest.mark.slow
def test_dvc_names_a_changed_file_and_a_deleted_one(houses: Path) -> None:
    assert dvc("init", "--no-scm", "-q").returncode == 0
    first = dvc("repro", "tables@houses")
    assert first.returncode == 0, first.stderr
    assert "up to date" in dvc("status", "tables@houses").stdout
    with Path("houses.csv").open("a") as file:
        file.write("31,1,63\n")
    assert "data/.sources/files/houses" in dvc("status", "tables@houses").stdout
    Path("houses.csv").unlink()
    again = dvc("repro", "tables@houses")
    assert again.returncode != 0
    (line,) = again.stderr.strip().splitlines()
    assert "failed to reproduce 'tables@houses'" in line
    assert line.endswith("data/.sources/files/houses/project/houses.csv'")


@pytest.mark.slow
def test_an_experiment_in_a_copy_sets_a_new_key_and_reads_an_untracked_file(
    houses: Path,
) -> None:
    git("init", "-q", ".")
    Path(".gitignore").write_text("/houses.csv\n/data\n")
    assert dvc("init", "-q").returncode == 0
    git("add", "--all")
    git("commit", "-qm", "All but the data")
    new = "++datasets.tables.houses.test_fraction=0.5"
    done = dvc("exp", "run", "--temp", "-n", "half", "-S", new, "tables@houses")
    assert done.returncode == 0, done.stderr
    assert "test_fraction" in dvc("params", "diff", "HEAD", "half").stdout


def test_only_one_file_is_read_by_dvc_as_a_pipeline() -> None:
    """DVC reads each dvc.yaml below the project, also one that is a template."""
    command = ["git", "ls-files", "*dvc.yaml", "*dvc.lock", "*.dvc"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"dvc.yaml", "dvc.lock"}
