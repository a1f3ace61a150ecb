"""The identity of a project folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.common import project
from pipelines.common.project import IDENTITY, folder_identity, job_identity


def test_a_folder_has_one_identity_which_the_first_of_many_writes(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(folder_identity, [tmp_path] * 32))
    assert found == {folder_identity(tmp_path)}
    assert re.fullmatch("[0-9a-f]{32}", found.pop())
    names = sorted(path.name for path in (tmp_path / ".ftml").iterdir())
    assert names == [".gitignore", "identity.json"]


def test_git_does_not_see_the_identity(tmp_path: Path) -> None:
    folder_identity(tmp_path)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    command = [*git, "status", "--porcelain"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b""


def test_a_copy_gets_an_identity_of_its_own_and_a_moved_folder_keeps_its(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first := tmp_path / "first").mkdir()
    identity = folder_identity(first)
    shutil.copytree(first, tmp_path / "copy")
    copied = folder_identity(tmp_path / "copy")
    assert copied != identity
    assert "copy of" in capsys.readouterr().err
    assert folder_identity(tmp_path / "copy") == copied
    moved = first.rename(tmp_path / "moved")
    assert folder_identity(moved) == identity
    shutil.copytree(moved, tmp_path / "other disk")
    shutil.rmtree(moved)
    assert folder_identity(tmp_path / "other disk") == identity
    assert capsys.readouterr().err == ""


def test_a_copy_on_another_machine_gets_an_identity_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first := tmp_path / "first").mkdir()
    identity = folder_identity(first)
    copy = shutil.copytree(first, tmp_path / "copy")
    shutil.rmtree(first)
    monkeypatch.setattr(project.socket, "gethostname", lambda: "elsewhere")
    assert folder_identity(copy) != identity


def test_experiments_of_dvc_have_the_identity_of_their_project(tmp_path: Path) -> None:
    (copy := tmp_path / ".dvc/tmp/exps/one").mkdir(parents=True)
    assert folder_identity(copy) == folder_identity(tmp_path)
    assert not (copy / ".ftml").exists()


def test_a_job_has_the_identity_that_its_environment_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ours", "hers"):
        (tmp_path / name).mkdir()
    ours = job_identity(tmp_path / "ours")
    assert ours == job_identity(tmp_path / "ours") != job_identity(tmp_path / "hers")
    monkeypatch.setenv("FTML_IDENTITY", "0" * 32)
    assert folder_identity(tmp_path) == "0" * 32
    assert not (tmp_path / ".ftml").exists()
    monkeypatch.setenv("FTML_IDENTITY", "me")
    with pytest.raises(ValueError, match="expected 32 hexadecimal digits, got 'me'"):
        folder_identity(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"identity": "x"})])
def test_a_damaged_identity_is_an_error_that_says_what_to_do(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / IDENTITY
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=r"identity\.json: holds no identity; remove"):
        folder_identity(tmp_path)
