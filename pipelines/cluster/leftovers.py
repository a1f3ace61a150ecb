"""Removes from the temporary directory what processes that were killed have left there.

- `ftml-checkpoint-*`: a worker writes a checkpoint here before Ray uploads it. The
  worker holds a lock on the folder, so one that nobody has locked for some minutes is
  of a worker that was killed.
- `ray/session_*`: the logs and the sockets of each Ray that a driver has started, which
  Ray never removes. The driver locks the folder of its session while Ray runs, and
  marks it with a file. A marked session that nobody holds has ended; the newest of
  these is kept for its logs.
- `ray/started-by-ftml-<pid>`: a driver that starts Ray holds this folder until the
  session is marked. If the driver was killed before, the next one marks the session.

Only folders of this user are removed, and of Ray's only those with the mark: sessions
of other programs, and of a Ray that someone has started by `ray start`, are left alone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

from pipelines.common.locks import is_locked, lock_folder

CHECKPOINT = "ftml-checkpoint-"
MARK = "started-by-ftml"

MIN_AGE_S = 600.0
"A folder of a checkpoint that is younger may not be locked yet."

MIN_FREE_MB = 64
"Ray needs about as much for its logs and sockets alone."


class TemporaryDirectoryFullError(OSError):
    """The temporary directory has no space for what a stage writes there."""


@contextmanager
def checkpoint_folder() -> Iterator[Path]:
    """Provide a temporary folder for a checkpoint, locked until it is removed."""
    with (
        tempfile.TemporaryDirectory(prefix=CHECKPOINT) as folder,
        lock_folder(Path(folder)),
    ):
        yield Path(folder)


@cache
def remove_checkpoints() -> None:
    """Remove the checkpoints that killed workers have left, once in a process."""
    latest = time.time() - MIN_AGE_S
    for folder in Path(tempfile.gettempdir()).glob(f"{CHECKPOINT}*"):
        if _is_own_folder(folder, before=latest) and not is_locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def starting_session() -> Iterator[None]:
    """Name this process as one that starts Ray, for the duration of the block, and mark
    the sessions of drivers that were killed while they started Ray.
    """
    sessions = _temporary_directory() / "ray"
    for folder in sessions.glob(f"{MARK}-*"):
        pid = folder.name.rpartition("-")[2]
        if (
            not _is_own_folder(folder)
            or is_locked(folder)
            or psutil.pid_exists(int(pid))
        ):
            continue
        for session in sessions.glob(f"session_2*_{pid}"):
            if _is_own_folder(session, after=folder.lstat().st_mtime):
                (session / MARK).touch()
        shutil.rmtree(folder, ignore_errors=True)
    own = sessions / f"{MARK}-{os.getpid()}"
    own.mkdir(parents=True, exist_ok=True)
    with lock_folder(own):
        yield
    own.rmdir()


@contextmanager
def marked_session(session: Path) -> Iterator[None]:
    """Mark the session of a Ray that this driver has started for the duration of the
    block, and remove the sessions of drivers that have ended, but the newest.
    """
    with lock_folder(session):
        (session / MARK).touch()
        ended = [
            mark.parent
            for mark in session.parent.glob(f"session_*/{MARK}")
            if _is_own_folder(mark.parent) and not is_locked(mark.parent)
        ]
        for folder in sorted(ended)[:-1]:  # the names begin with the time
            shutil.rmtree(folder, ignore_errors=True)
        yield


def check_space(folder: Path | None = None) -> None:
    """Raise TemporaryDirectoryFullError if the folder in which Ray and its workers
    write temporary files has less than MIN_FREE_MB MB left.
    """
    folder = folder or _temporary_directory()
    if not folder.exists():  # Ray makes it, or says why it cannot
        return
    free = shutil.disk_usage(folder).free / 1e6
    if free < MIN_FREE_MB:
        raise TemporaryDirectoryFullError(
            f"{folder}: the temporary directory has {free:.0f} MB left, expected "
            f"{MIN_FREE_MB} MB or more; remove files there, or set RAY_TMPDIR and "
            "TMPDIR to a folder with more space"
        )


def _temporary_directory() -> Path:
    """Return where Ray puts the folder `ray`."""
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())


def _is_own_folder(
    folder: Path, *, before: float | None = None, after: float = 0.0
) -> bool:
    """Return whether a path is a folder, no link, of this user, unchanged since the
    time `before`, and changed since the time `after`, in seconds of the epoch.
    """
    try:
        found = folder.lstat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    fits = after <= found.st_mtime and (before is None or found.st_mtime < before)
    return own and fits and folder.is_dir() and not folder.is_symlink()
