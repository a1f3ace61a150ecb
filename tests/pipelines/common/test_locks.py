"""Locks that end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.common.locks import LockHeldError, is_locked, lock_file, lock_folder


def test_a_second_holder_is_told_in_one_line_who_holds_the_lock_since_when(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deep" / "toy.lock"
    with lock_file(path, purpose="the experiment toy"):
        with (
            pytest.raises(LockHeldError) as caught,
            lock_file(path, purpose="the experiment toy"),
        ):
            pass
        assert is_locked(path)
    message = str(caught.value)
    assert "\n" not in message
    assert re.fullmatch(
        rf"the experiment toy is in progress here already: process {os.getpid()} on "
        r"\S+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \(.*\); wait for it, or end that "
        r"process",
        message,
    )
    assert not path.parent.exists(), "nothing is left of it"
    with lock_file(path, purpose="the experiment toy"):
        pass


def test_a_lock_ends_with_a_process_that_is_killed_and_programs_do_not_inherit_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "toy.lock"
    code = (
        "import os, signal, subprocess, sys\n"
        "from pathlib import Path\n"
        "from pipelines.common.locks import lock_file\n"
        "with lock_file(Path(sys.argv[1]), purpose='x'):\n"
        "    child = subprocess.Popen(['sleep', '100'], stdout=subprocess.DEVNULL)\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        assert path.exists()
        assert not is_locked(path)
        with lock_file(path, purpose="x"):
            assert str(os.getpid()) in path.read_text()
    finally:
        os.kill(int(done.stdout), 9)


def test_whoever_has_opened_the_file_before_it_is_removed_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sub" / "toy.lock"
    flock = fcntl.flock
    opened: list[int] = []

    def removed_first(descriptor: int, operation: int) -> None:
        if not opened:  # the former holder ends between open and flock
            path.unlink()
            path.parent.rmdir()
        opened.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with lock_file(path, purpose="x"):
        assert path.exists()
    assert len(opened) == 2


def test_a_file_system_without_locks_is_said_and_the_lock_is_held_on_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, local = tmp_path / "project" / "toy.lock", tmp_path / "tmp"
    local.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(local))
    flock = fcntl.flock

    def without(descriptor: int, operation: int) -> None:
        if "project" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSYS, "Function not implemented")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", without)
    with (
        lock_file(path, purpose="toy"),
        pytest.raises(LockHeldError, match="toy is in progress here already: process"),
        lock_file(path, purpose="toy"),
    ):
        pass
    assert (
        "has no locks, so a second process is noticed only"
        in (capsys.readouterr().err.splitlines()[0])
    )
    assert not path.parent.exists()


def test_a_lock_file_that_says_nothing_is_held_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "toy.lock"
    with lock_file(path, purpose="toy"):
        path.write_text("")
        with (
            pytest.raises(LockHeldError, match="a process that has just started"),
            lock_file(path, purpose="toy"),
        ):
            pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "toy.lock").symlink_to(tmp_path / "other")
    with (
        pytest.raises(OSError, match=r"toy\.lock"),
        lock_file(tmp_path / "toy.lock", purpose="toy"),
    ):
        pass
    assert (tmp_path / "other").read_text() == "precious"


def test_a_folder_in_use_is_locked_until_the_end(tmp_path: Path) -> None:
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "absent")
