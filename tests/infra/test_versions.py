"""Every version in `infra/` is that of the lock files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.infra.files import INFRA, locked

LOCK = {
    name: version
    for path in sorted(ROOT.glob("requirements*.lock"))
    for name, version in locked(path).items()
}
WRITTEN = {
    "ray": r"ftml-ray:([\w.]+)|rayVersion: \"?([\w.]+)",
    "mlflow": r"ftml-mlflow:([\w.]+)|mlflow==([\w.]+)",
    "python": r"python:([\w.]+)",
}
"How each is written in the files."

FILES = [path for path in sorted(INFRA.rglob("*")) if path.is_file()]
REQUIREMENTS = [path for path in FILES if path.name == "requirements.txt"]


def expected() -> dict[str, str]:
    """Return the versions of the lock, and the Python that it is for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = project["tool"]["mypy"]["python_version"]
    return {"ray": LOCK["ray"], "mlflow": LOCK["mlflow"], "python": python}


def wrong_versions(text: str) -> list[str]:
    """Return what names a version other than the expected one."""
    return [
        found[0]
        for name, pattern in WRITTEN.items()
        for found in re.finditer(pattern, text)
        if expected()[name] not in found.groups()
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INFRA)))
def test_versions_are_those_of_the_lock(path: Path) -> None:
    assert wrong_versions(path.read_text()) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ray/Dockerfile", "ray"),
        ("ray/Dockerfile", "python"),
        ("ray/cluster.yaml", "ray"),
        ("ray/kuberay/raycluster.yaml", "ray"),
        ("ray/kuberay/rayjob.yaml", "ray"),
        ("mlflow/Dockerfile", "mlflow"),
        ("mlflow/Dockerfile", "python"),
        ("mlflow/compose.yaml", "mlflow"),
        ("mlflow/kubernetes/mlflow.yaml", "mlflow"),
        ("README.md", "mlflow"),
    ],
)
def test_a_version_that_is_behind_is_found(file: str, name: str) -> None:
    text = (INFRA / file).read_text()
    behind = text.replace(expected()[name], "1.0.0")
    assert len(wrong_versions(behind)) == len(re.findall(WRITTEN[name], text)) > 0


def unpinned(requirements: str) -> list[str]:
    """Return what neither the file itself nor the lock holds to one version."""
    lines = [line for line in requirements.splitlines() if line and line[0] != "#"]
    return [line for line in lines if "==" not in line and line not in LOCK]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.parent.name)
def test_the_images_pin_what_the_lock_does_not(path: Path) -> None:
    assert unpinned(path.read_text()) == []
    assert set(locked(path)).isdisjoint(LOCK), "one version, in one place"
    assert unpinned(path.read_text() + "redis\n") == ["redis"]
