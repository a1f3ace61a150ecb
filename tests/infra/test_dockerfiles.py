"""The Dockerfiles, by hadolint, and what it does not look at."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.infra.files import DOCKERFILES

HADOLINT = Path(sys.executable).with_name("hadolint")


def lint(text: str) -> str:
    """Return the complaints of hadolint, whatever their level."""
    command = [str(HADOLINT), "--no-color", "-"]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=30
    ).stdout


def stages(text: str) -> list[list[str]]:
    """Return the instructions of each stage."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line for line in joined.splitlines() if line and line[0] not in "# "]
    starts = [n for n, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def runs_as_root(text: str) -> list[str]:
    """Return the stages that are images of their own and do not end as user 1000."""
    bases = {line.split()[1] for [line, *_] in stages(text)}
    found = []
    for [first, *rest] in stages(text):
        users = [line for line in rest if line.startswith("USER ")]
        if first.split()[-1] not in bases and users[-1:] != ["USER 1000"]:
            found.append(first)
    return found


def not_in_the_context(text: str, ignore: str) -> list[str]:
    """Return the files that are copied, and are not there or ignored."""
    sent = {line[1:] for line in ignore.splitlines() if line.startswith("!")}
    copied = [
        source
        for stage in stages(text)
        for line in stage
        if line.startswith("COPY ")
        for source in line.split()[1:-1]
    ]
    return [s for s in copied if s not in sent or not (ROOT / s).is_file()]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_the_dockerfile_is_in_order(path: Path) -> None:
    text = path.read_text()
    assert lint(text) == ""
    assert runs_as_root(text) == []
    assert not_in_the_context(text, (ROOT / ".dockerignore").read_text()) == []


def test_there_is_an_image_for_the_server_one_without_and_one_with_a_gpu() -> None:
    named = {
        first.split()[-1]
        for path in DOCKERFILES
        for [first, *_] in stages(path.read_text())
    }
    assert named == {"python:3.11-slim-bookworm", "system", "cpu", "gpu"}


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("FROM python:3.11-slim-bookworm", "FROM python:latest", "DL3007"),
        ("install --yes", "install", "DL3014"),
        ("WORKDIR /opt/ftml", "WORKDIR opt/ftml", "DL3000"),
        ("RUN pip", "RNU pip", "unexpected"),
    ],
)
def test_hadolint_refuses_a_mistake(before: str, after: str, rule: str) -> None:
    [ray] = [path.read_text() for path in DOCKERFILES if path.parent.name == "ray"]
    assert rule in lint(ray.replace(before, after))


def test_an_image_of_root_and_a_file_outside_the_context_are_found() -> None:
    text = (
        "FROM python:3.11 AS a\nUSER 1000\nFROM python:3.11 AS b\nCOPY README.md x /\n"
    )
    assert runs_as_root(text) == ["FROM python:3.11 AS b"]
    assert not_in_the_context(text, "*\n!x\n") == ["README.md", "x"]


def test_the_images_of_ray_install_what_the_library_and_the_pipeline_need() -> None:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "infra/ray/Dockerfile").read_text())
    command = re.search(r'RUN python (-c "import tomllib;.*?") > dependencies', text)
    assert command is not None
    done = subprocess.run(
        f"{sys.executable} {command.group(1)}",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pipeline = project["optional-dependencies"]["pipeline"]
    assert done.stdout.splitlines() == [*project["dependencies"], *pipeline]
    assert any(line.startswith("ray[") for line in done.stdout.splitlines())
