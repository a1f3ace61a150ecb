"""A dvc.lock that a killed DVC has left incomplete."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import dump_yaml

from pipelines.common import dvc_lock
from pipelines.common.dvc_lock import COPY, LOCK, RWLOCK, repair, stages_of
from pipelines.common.locks import lock_file


def stage(name: str, version: int = 0) -> dict[str, Any]:
    return {
        "cmd": f"python -m pipelines.stages.experiment {name}",
        "deps": [
            {"path": "ftml", "hash": "md5", "md5": f"{version:032d}.dir", "size": 123}
        ],
        "params": {"params.yaml": {f"experiments.{name}": {"ridge": {"trials": 3}}}},
        "outs": [{"path": f"experiments/{name}", "hash": "md5", "md5": "0" * 32}],
    }


OLD = {f"experiment@{n}": stage(n) for n in ("a", "b", "c", "7")}
NEW = {name: stage(name[-1], version=1) for name in OLD}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a dvc.lock that `repair` has seen."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    write(OLD)
    repair()
    return tmp_path


def write(stages: dict[str, Any]) -> bytes:
    """Write dvc.lock as DVC does, and return its content."""
    dump_yaml(LOCK, {"schema": "2.0", "stages": stages})
    return LOCK.read_bytes()


def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def test_wherever_the_file_ends_every_stage_is_there_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_git(monkeypatch)
    content = write(NEW)
    broken = 0
    for size in range(0, len(content), len(content) // 16):
        LOCK.write_bytes(content[:size])
        left = stages_of(content[:size])
        repair()
        said = capsys.readouterr().err
        if left is not None:  # it ends between two stages or fields
            assert said == ""
            write(OLD)
            repair()  # the copy is the old file again
            continue
        broken += 1
        (line,) = said.splitlines()
        assert line.startswith("dvc.lock: a killed dvc has left it incomplete; ")
        stages = stages_of(LOCK.read_bytes())
        assert stages is not None
        assert list(stages) == list(OLD)
        begun = sum(content.index(f"\n  {name}".encode()) + 4 <= size for name in NEW)
        for number, name in enumerate(OLD):
            assert stages[name] == (NEW if number < begun - 1 else OLD)[name]
    assert broken > 5


def test_the_restored_file_is_as_dvc_writes_it(project: Path) -> None:
    whole = LOCK.read_bytes()
    LOCK.write_bytes(whole[:-20])
    repair()
    assert LOCK.read_bytes() == whole


def test_stages_are_also_taken_from_the_last_commit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = LOCK.read_bytes()
    COPY.unlink()

    def show(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert command == ["git", "show", "HEAD:./dvc.lock"]
        return subprocess.CompletedProcess(command, 0, whole)

    monkeypatch.setattr(subprocess, "run", show)
    LOCK.write_bytes(b"")
    repair()
    assert LOCK.read_bytes() == whole


def test_without_any_copy_the_file_is_removed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_git(monkeypatch)
    COPY.unlink()
    LOCK.write_bytes(b"schema: '2.0'\nstages:\n  experiment@a:\n    cm")
    repair()
    assert not LOCK.exists()
    assert "finished studies are reused" in capsys.readouterr().err
    repair()  # there is nothing to repair


def test_nothing_is_repaired_while_dvc_writes(project: Path) -> None:
    LOCK.write_bytes(b"schema:")
    with lock_file(dvc_lock.DVC_LOCK, purpose="DVC"):
        repair()
    assert LOCK.read_bytes() == b"schema:"


def test_an_incomplete_file_of_dvcs_locks_is_removed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RWLOCK.write_text('{"write": {')
    repair()
    assert not RWLOCK.exists()
    assert "rwlock: a killed dvc has left it incomplete" in capsys.readouterr().err
    RWLOCK.write_text(json.dumps({"write": {}, "read": {}}))
    repair()
    assert RWLOCK.exists()
