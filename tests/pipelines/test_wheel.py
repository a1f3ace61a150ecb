"""A project of its own, made by the wheel in an environment without the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.long
PARTS = ("ftml", "pipelines", "pyproject.toml", "README.md", "LICENSE")
Run = Callable[..., str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the repository."""
    copy, built = (tmp_path_factory.mktemp(name) for name in ("copy", "built"))
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / part, ignore=ignored)
        else:
            shutil.copy(source, copy / part)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command = [*pip, "--no-build-isolation", "-w", str(built), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = built.glob("ftml-*.whl")
    return found


@pytest.fixture
def run(wheel: Path, tmp_path: Path) -> Run:
    """Install the wheel into an environment whose other packages are those of ours, and
    return a function that runs a command there, in the folder of her project.
    """
    place, folder = tmp_path / "environment", tmp_path / "hers"
    venv.create(place, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # A path in a .pth file is not searched for .pth files, so that the editable
    # installation of the repository is not found.
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = [str(place / "bin"), str(Path(sys.executable).parent)]
    folder.mkdir()

    def command(*arguments: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["PATH"] = os.pathsep.join([*scripts, os.environ["PATH"]])
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return command


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    command = ["git", "ls-files", "ftml", "pipelines"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    assert "ftml/py.typed" in held
    assert set(listed.stdout.split()) <= held


def test_her_project_runs_from_the_wheel_whatever_her_folder_pipelines_holds(
    run: Run, tmp_path: Path
) -> None:
    hers = tmp_path / "hers"
    (hers / "pipelines").mkdir()
    (hers / "pipelines/__init__.py").write_text("raise ImportError('hers')\n")
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"id": range(60), "x": rng.normal(size=60)})
    data["kind"] = np.where(data["x"] > 0, "high", "low")
    data.loc[3, "x"] = None
    data.to_csv(hers / "her.csv", index=False)
    assert "git: a repository was made" in run(
        "ftml", "init", "her.csv", "--target=kind"
    )
    params = (hers / "params.yaml").read_text()
    head, _, _ = params.partition("experiments:")
    few = "experiments:\n  her:\n    logistic_regression: {trials: 2, seeds: 2}\n"
    (hers / "params.yaml").write_text(head + few)
    printed = run("dvc", "repro")
    assert "logistic_regression: 2 trials, 2 final fits" in printed
    assert "report: 1 study of 1 dataset" in printed
    assert "test_accuracy" in run("dvc", "metrics", "show", "--json")
    assert "index.html" in run("dvc", "plots", "show")
    data.drop(columns="kind").head(4).to_csv(hers / "rows.csv", index=False)
    answer = run("ftml", "predict", "models:/her@champion", "rows.csv", "-o", "out.csv")
    assert "columns that are not used: id" in answer
    assert set(pd.read_csv(hers / "out.csv")["prediction"]) <= {"high", "low"}
    assert "her.csv" in (hers / "ftml.md").read_text()
    # Nothing runs again, until the installed code is another.
    assert not re.search("Running stage '(?!installed)", run("dvc", "repro"))
    (module,) = tmp_path.glob("environment/lib/*/site-packages/ftml/__init__.py")
    module.write_text(module.read_text() + "# upgraded\n")
    assert "Running stage 'tables@her'" in run("dvc", "repro", "tables@her")
