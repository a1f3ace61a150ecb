"""Which process of which machine, and whether it is alive.

A process id alone does not say whether a process is alive, since the system gives the
id of a process that has ended to another one, and starts again after a boot. A process
is identified here by the host, the id of the boot, the namespace of process ids (each
container has its own), the process id and the time at which the process started.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        host: name of the machine.
        pid: process id.
        origin: `<boot>:<namespace>:<start>`, whose parts are empty where the system
            does not know them; "" for a process of which only host and id are known.
    """

    host: str
    pid: int
    origin: str = ""

    @property
    def name(self) -> str:
        """The process as `host:pid`."""
        return f"{self.host}:{self.pid}"


def this_process() -> Process:
    """Return this process."""
    return Process(socket.gethostname(), os.getpid(), _origin(os.getpid()))


def read_process(name: str, origin: str) -> Process | None:
    """Return the process of a name, `host:pid`, and its origin; None for a text that
    names no process.
    """
    host, _, pid = name.rpartition(":")
    return Process(host, int(pid), origin) if host and pid.isdigit() else None


def is_alive(process: Process) -> bool | None:
    """Return whether a process is alive; None for a process that cannot be seen from
    here, since it is on another host or in another container.

    Where only the host and the id are known, another process with that id counts.
    """
    if process.host != socket.gethostname():
        return None
    if not process.origin:
        return psutil.pid_exists(process.pid)
    boot, namespace, _ = process.origin.split(":")
    if boot != _boot():
        return False
    if namespace != _namespace():
        return None
    return _origin(process.pid) == process.origin


def _origin(pid: int) -> str:
    """Return the origin of a process of this machine; "" if there is none."""
    start = _start(pid)
    return f"{_boot()}:{_namespace()}:{start}" if start else ""


def _start(pid: int) -> str:
    """Return when a process started: in clock ticks since the boot on Linux, and in
    hundredths of a second of Unix time elsewhere; "" if it has ended.

    On Linux, `psutil` adds the time of the boot, which changes when the clock is set.
    """
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    if BOOT_ID.exists():
        return ""
    try:
        return f"{100 * psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""


def _boot() -> str:
    with suppress(OSError):
        return BOOT_ID.read_text().strip()
    return ""


def _namespace() -> str:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return ""
