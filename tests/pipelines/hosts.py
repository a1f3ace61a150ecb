"""Hosts of a network of their own, made of Linux network namespaces.

Each has an address on one bridge and a `/tmp/ray` of its own; it sees all other files
of this machine, as hosts with a shared file system do. Needs root and iproute2; every
name begins with that of the network, and all is removed at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Host:
    """A network namespace with an address, cabled to the bridge of its network."""

    name: str
    address: str
    own: Path
    "its `/tmp/ray`: nodes that share one take the sockets of each other"

    @property
    def inside(self) -> list[str]:
        """What a command is preceded by to run on this host."""
        mount = f'mount --bind {self.own} /tmp/ray && exec "$@"'
        return ["ip", "netns", "exec", self.name, "sh", "-c", mount, "sh"]

    def unplug(self) -> None:
        """Cut the host off: nothing comes or goes."""
        ip(f"link set {self.cable} down")

    def plug(self) -> None:
        ip(f"link set {self.cable} up")

    def clear(self) -> None:
        """Kill every process on the host."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name],
            capture_output=True,
            text=True,
            check=False,
        )
        for pid in listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    @property
    def cable(self) -> str:
        return f"{self.name}-c"


@contextmanager
def network(name: str, hosts: Sequence[str]) -> Iterator[list[Host]]:
    """Make a bridge and hosts on it, 10.77.0.1 and so on; names of four letters."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the package `iproute2`")
    folder = Path(tempfile.mkdtemp(prefix="ftml-hosts-"))
    made = [
        Host(f"{name}-{each}", f"10.77.0.{n}", folder / each)
        for n, each in enumerate(hosts, start=1)
    ]
    try:
        ip(f"link add {name} type bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no bridge can be made here: {error.stderr}")
    Path("/tmp/ray").mkdir(exist_ok=True)
    try:
        ip(f"link set {name} up")
        for host in made:
            host.own.mkdir()
            ip(f"netns add {host.name}")
            ip(f"link add {host.cable} type veth peer name eth0 netns {host.name}")
            ip(f"link set {host.cable} master {name} up")
            ip(f"-n {host.name} address add {host.address}/24 dev eth0")
            for device in ("lo", "eth0"):
                ip(f"-n {host.name} link set {device} up")
            # By which Ray knows the address of a host; nothing is sent there.
            ip(f"-n {host.name} route add default dev eth0")
        yield made
    finally:
        for host in made:
            host.clear()
            for rest in (f"link delete {host.cable}", f"netns delete {host.name}"):
                subprocess.run(["ip", *rest.split()], check=False)
        ip(f"link delete {name}")
        shutil.rmtree(folder)


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)
