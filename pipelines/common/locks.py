"""Locks that the operating system releases when their process ends, however it ends.

`lock_file` holds `flock` on a file. The lock belongs to the open file, so it ends with
the process: after `kill -9` the file is still there and nobody holds it. The file says
who holds it, in JSON: host, process id, command and time. The holder removes it at the
end, while it still holds it; whoever has opened the file before that finds that the
path names another file or none, and tries again. Python closes the file in programs
that the process starts, so Ray's processes do not inherit the lock.

Which file systems hold it: local ones; NFS 4 and NFS 3 with its lock service, and
CephFS, SMB and Lustre (mounted with `flock`), between all hosts. On NFS the kernel
turns flock into a lock at the server. When a host is lost, the server releases its
locks after the lease, which is 90 s by default. NFS that is mounted with `nolock` or
`local_lock`, and Lustre with `localflock`, hold it among the processes of one host. A
file system without locks is said in one line, and the lock is held in the temporary
directory, so among the processes of one user on one host.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which Ray's workers and DVC's links support in part
    fcntl = None  # type: ignore[assignment]

FOLDER = Path(".search")
"Where the lock files of a project are, beside the working directories of its studies."

HELD = (errno.EAGAIN, errno.EACCES)
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

ATTEMPTS = 100
"Times that a lock file is opened again since its holder has just removed it."


class LockHeldError(ValueError):
    """Another process holds a lock."""


@contextmanager
def dataset_lock(dataset: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a dataset in the current folder: one process at a time prepares
    it, runs its studies or fetches their results. Raises LockHeldError.
    """
    path = FOLDER / f".{dataset}.lock"
    with lock_file(path, purpose=f"work on the dataset {dataset}", wait=wait):
        yield


@contextmanager
def chapter_lock(chapter: str) -> Iterator[None]:
    """Hold the lock of a chapter of claims in the current folder: one process at a time
    measures it. Raises LockHeldError.
    """
    path = FOLDER / f".{chapter}.claims"
    with lock_file(path, purpose=f"work on the claims of the chapter {chapter}"):
        yield


@contextmanager
def lock_file(path: Path, *, purpose: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file for the duration of the block.

    purpose: what only one process does at a time, as the subject of the message that
    another process prints, such as `work on the dataset digits`.
    wait: whether to wait for the other process, after one line that says so.
    Raises LockHeldError, with the holder and since when it holds the lock, when another
    process holds it and `wait` is false. The folder of the file is made, and removed at
    the end if nothing else is in it.
    """
    path, descriptor = _acquire(path.absolute(), purpose=purpose, wait=wait)
    try:
        if descriptor is not None:
            _write_holder(descriptor)
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file or of a folder; true where this
    cannot be known, and false for a path that does not exist.
    """
    if fcntl is None:
        return path.exists()
    try:  # NFS locks only what is open for writing
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Mark a folder as in use for the duration of the block: `is_locked` is true.

    Where the file system has no locks for folders, nothing is marked.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, *, purpose: str, wait: bool) -> tuple[Path, int | None]:
    """Return the path of the lock file and its open descriptor; None for a system that
    has no locks.
    """
    for _ in range(ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(path, flags, 0o644)
        except FileNotFoundError:  # its holder has just removed the folder
            continue
        try:
            locked = _flock(descriptor, path, purpose=purpose, wait=wait)
            if locked and _is_current(descriptor, path):
                return path, descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not locked:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
            return _without_file_locks(path, purpose=purpose, wait=wait)
    raise OSError(f"{path}: removed again and again while it is locked")


def _flock(descriptor: int, path: Path, *, purpose: str, wait: bool) -> bool:
    """Lock an open file; return False where the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        if error.errno not in HELD:
            raise
    else:
        return True
    holder = f"{purpose} is in progress here already: {_holder(path)}"
    if not wait:
        raise LockHeldError(f"{holder}; wait for it, or end that process") from None
    print(f"waiting: {holder}", file=sys.stderr, flush=True)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    """Return whether the path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _without_file_locks(
    path: Path, *, purpose: str, wait: bool
) -> tuple[Path, int | None]:
    """Lock a file of the temporary directory in place of one that cannot be locked."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    local = Path(tempfile.gettempdir()) / f"ftml-locks-{user}"
    if fcntl is None or path.parent == local:
        return path, None
    print(
        f"{path.parent}: its file system has no locks, so a second process is noticed "
        "only if it runs on this host and as the same user",
        file=sys.stderr,
        flush=True,
    )
    local.mkdir(mode=0o700, exist_ok=True)
    if local.is_symlink() or local.stat().st_uid != os.getuid():
        raise OSError(f"{local}: expected a folder of this user; remove it")
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return _acquire(local / name, purpose=purpose, wait=wait)


def _write_holder(descriptor: int) -> None:
    """Write who holds the lock; a full disk leaves the lock without this text."""
    holder = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "command": _command(),
        "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode() + b"\n", 0)


def _command() -> str:
    """Return the command of this process without the path of its interpreter."""
    return shlex.join(sys.orig_argv[1:])[:200]


def _holder(path: Path) -> str:
    """Return who holds a lock, as the end of a sentence."""
    try:
        holder = json.loads(path.read_bytes())
        return (
            f"process {holder['process']} on {holder['host']} since "
            f"{holder['since']} ({holder['command']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just started"
