"""What killed processes have left in the temporary directory."""

from __future__ import annotations

import os
import subprocess
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.cluster import leftovers
from pipelines.cluster.leftovers import (
    CHECKPOINT,
    MARK,
    TemporaryDirectoryFullError,
    check_space,
    checkpoint_folder,
    marked_session,
    remove_checkpoints,
    starting_session,
)
from pipelines.cluster.ray_internals import session_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a temporary directory of its own."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    remove_checkpoints.cache_clear()
    return tmp_path


def age(folder: Path, seconds: float = 2 * leftovers.MIN_AGE_S) -> Path:
    """Return a folder that was last changed so many seconds ago."""
    folder.mkdir(exist_ok=True)
    os.utime(folder, times=(time.time() - seconds,) * 2)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_checkpoints_of_killed_workers_are_removed_and_no_others(
    temporary: Path,
) -> None:
    age(temporary / f"{CHECKPOINT}dead")
    (temporary / f"{CHECKPOINT}dead/arrays").touch()
    age(temporary / f"{CHECKPOINT}dead")
    age(temporary / f"{CHECKPOINT}new", seconds=5.0)
    age(temporary / "another-program")
    (temporary / "elsewhere").mkdir()
    (temporary / f"{CHECKPOINT}link").symlink_to(temporary / "elsewhere")
    with checkpoint_folder() as live:
        age(live)
        remove_checkpoints()
        assert names(temporary) == {
            live.name,
            f"{CHECKPOINT}new",
            f"{CHECKPOINT}link",
            "another-program",
            "elsewhere",
        }
    assert not live.exists()


def test_checkpoints_of_another_user_are_left_alone(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(temporary / f"{CHECKPOINT}theirs")
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    remove_checkpoints()
    assert names(temporary) == {f"{CHECKPOINT}theirs"}


def test_sessions_of_our_ended_drivers_are_removed_but_the_newest(
    tmp_path: Path,
) -> None:
    def session(name: str, *, marked: bool = True) -> Path:
        folder = tmp_path / f"session_{name}"
        (folder / "logs").mkdir(parents=True)
        if marked:
            (folder / MARK).touch()
        return folder

    theirs, live = session("2026-01-01", marked=False), session("2026-01-02")
    oldest, newest = session("2026-01-03"), session("2026-01-04")
    with marked_session(live):
        own = session("2026-01-05", marked=False)
        with marked_session(own):
            assert set(tmp_path.iterdir()) == {theirs, live, newest, own}
        assert not oldest.exists()
    with marked_session(session("2026-01-06", marked=False)):
        assert {path.name[8:] for path in tmp_path.iterdir()} == {
            "2026-01-01",
            "2026-01-05",
            "2026-01-06",
        }


def test_a_session_of_a_driver_that_was_killed_while_it_started_ray_is_marked(
    temporary: Path,
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    sessions = temporary / "ray"
    sessions.mkdir()
    earlier = age(sessions / f"session_2026-01-01_{ended.pid}")
    (sessions / f"{MARK}-{ended.pid}").mkdir()
    killed = sessions / f"session_2026-01-02_{ended.pid}"
    other = sessions / f"session_2026-01-02_1{ended.pid}"
    for folder in (killed, other):
        folder.mkdir()
    with starting_session():
        own = sessions / f"{MARK}-{os.getpid()}"
        assert set(sessions.iterdir()) == {earlier, killed, other, own}
        assert list(sessions.glob(f"*/{MARK}")) == [killed / MARK]
    assert not own.exists()


def test_a_full_temporary_directory_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_space(tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9, 3_000_000))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(TemporaryDirectoryFullError) as caught:
        check_space()
    assert str(caught.value) == (
        f"{tmp_path}: the temporary directory has 3 MB left, expected 64 MB or more; "
        "remove files there, or set RAY_TMPDIR and TMPDIR to a folder with more space"
    )


def test_only_a_ray_that_was_started_here_has_a_session() -> None:
    started = SimpleNamespace(address_info={"session_dir": "/tmp/ray/session_1"})
    assert session_folder(started) == Path("/tmp/ray/session_1")
    assert session_folder(None) is None
