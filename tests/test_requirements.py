"""What `make setup` and `make setup-dev` install, and how."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.infra.files import locked
from tests.test_packaging import PROJECT, closure, normalised

USER = set(locked(ROOT / "requirements.lock"))
DEVELOPER = set(locked(ROOT / "requirements-dev.lock"))
EXTRAS = PROJECT["optional-dependencies"]
PIPELINE = PROJECT["dependencies"] + EXTRAS["pipeline"]


@cache
def needed() -> set[str]:
    """Return the packages that the library and the pipeline install in all."""
    return closure(PIPELINE)


def names(requirements: list[str]) -> set[str]:
    return {normalised(Requirement(each).name) for each in requirements} - {"ftml"}


def test_a_user_installs_what_the_pipeline_needs_and_nothing_else() -> None:
    tools = closure(EXTRAS["server"][1:] + EXTRAS["dev"][1:]) - needed()
    assert names(PIPELINE) <= USER
    assert USER & tools == set()
    assert {"playwright", "kubernetes-validate", "sphinx", "boto3"} <= tools


def test_a_developer_adds_the_other_packages_and_none_twice() -> None:
    assert names(EXTRAS["server"] + EXTRAS["dev"]) <= USER | DEVELOPER
    assert needed() & DEVELOPER == set()
    assert USER & DEVELOPER == set()


def test_the_lock_holds_what_builds_the_project_itself() -> None:
    """So that it is installed without a download of setuptools of its own."""
    assert "setuptools" in USER


# A Python that notes what it is called with; two packages are installed.
PYTHON = """#!/bin/sh
case "$*" in
"-m pip config list") printf '%s\\n' "$CONFIG" ;;
*freeze*) printf 'installed==1\\ntorch==2+cpu\\n' ;;
*) echo "$@" >> calls ;;
esac
"""
# A uv that also notes where packages come from, and fails if it is told to.
UV = """#!/bin/sh
echo uv "$@" >> calls
for each in "${UV_DEFAULT_INDEX-}" "${UV_EXTRA_INDEX_URL-}" "${UV_FIND_LINKS-}"; do
    [ -z "$each" ] || echo "$each" >> calls
done
[ -z "${FAILS-}" ]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the script, and an environment and a uv that note calls."""
    for name, text in ((".venv/bin/python", PYTHON), ("bin/uv", UV)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    shutil.copy(ROOT / "infra/install.sh", tmp_path)
    return tmp_path


def calls(folder: Path, lock: str, **environment: str) -> list[str]:
    """Return the calls of the script for the text of a lock file."""
    (folder / "a.lock").write_text(lock)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["sh", "install.sh", "a.lock"],
        cwd=folder,
        env={**os.environ, "PATH": path, "CONFIG": "", **environment},
        check=True,
        capture_output=True,
    )
    assert not (folder / ".venv/install").exists()
    return (folder / "calls").read_text().splitlines()


def test_uv_installs_where_it_is_there(folder: Path) -> None:
    call, compiled = calls(folder, "new==1\n")
    assert call.startswith("uv pip install")
    assert compiled.startswith("-m compileall ")


def test_uv_takes_packages_from_where_pip_does(folder: Path) -> None:
    configuration = """:env:.find-links='/a /b'
:env:.index-url='file:///mine'
global.extra-index-url='\\nfile:///c\\nfile:///d'
global.index-url='file:///theirs'"""
    noted = calls(folder, "new==1\n", CONFIG=configuration)[1:-1]
    assert noted == ["file:///mine", "file:///c file:///d", "/a,/b"]


def test_pip_brings_uv_where_it_is_not(folder: Path) -> None:
    found = calls(folder, "new==1\n", UV="absent")
    assert found[0].endswith("install --no-compile --target .venv/uv uv<1")
    assert " wheel " in found[1]  # no uv has come, so pip installs


@pytest.mark.parametrize("environment", [{"UV": ""}, {"FAILS": "1"}])
def test_pip_installs_what_is_missing_and_compiles_once(
    folder: Path, environment: dict[str, str]
) -> None:
    *_, wheel, install, check, compiled = calls(
        folder, "installed==1\nnew==1\ntorch==2\n", **environment
    )
    assert " wheel " in wheel
    assert wheel.endswith(" new==1")
    assert " install --no-compile --no-deps --no-index " in install
    assert check.endswith(" check")
    assert compiled.startswith("-m compileall ")


def test_what_is_installed_is_not_fetched_again(folder: Path) -> None:
    found = calls(folder, "installed==1\ntorch==2\n", UV="")
    assert [call.split()[1] for call in found] == ["pip", "compileall"]
