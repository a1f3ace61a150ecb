"""Notices that Ray itself has ended while a stage runs.

Order. When Ray's control service (GCS) is killed, a driver continues for 60 s; then Ray
ends its process without running any Python code, so that runs in MLflow would stay
RUNNING. When the raylet of the driver's node is killed, placement groups stay pending
forever. `watching` looks every CHECK_INTERVAL_S in a thread of its own, since the main
thread may wait for Ray, and raises ClusterLostError in the main thread by a signal,
early enough for the driver to close its runs. Tune may take the error for that of a
trial, so the signal is repeated until the block is left. A control service that
restarts within GCS_TIMEOUT_S, as one of KubeRay with Redis does, is not lost.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import ray


class SearchError(ValueError):
    """A search could not be completed. The stage resumes it when it is rerun."""


class ClusterLostError(SearchError):
    """Ray has ended while a stage used it."""


SIGNAL = signal.SIGUSR2
"Raises the error in the main thread. Tune uses SIGUSR1."

CHECK_INTERVAL_S = 5.0
GCS_TIMEOUT_S = 30.0
"Seconds without the control service; Ray ends the driver after 60."

CONNECT_TIMEOUT_S = 2.0


def gcs_answers() -> bool:
    """Return whether the control service of the cluster accepts a connection. A driver
    that reaches its cluster through Ray Client (`ray://`) does not know.
    """
    if os.environ.get("RAY_ADDRESS", "").startswith("ray://"):
        return True
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection(
            (host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S
        ).close()
    except OSError:
        return False
    return True


def own_node_is_alive() -> bool:
    """Return whether the cluster counts the node of this driver as alive."""
    own = ray.get_runtime_context().get_node_id()
    return any(node["NodeID"] == own and node["Alive"] for node in ray.nodes())


@dataclass
class ClusterWatch:
    """When the cluster was last seen; `check` looks at most every CHECK_INTERVAL_S."""

    answers: Callable[[], bool] = gcs_answers
    node_is_alive: Callable[[], bool] = own_node_is_alive
    clock: Callable[[], float] = time.monotonic
    _checked: float = field(init=False)
    _seen: float = field(init=False)

    def __post_init__(self) -> None:
        self._checked = self._seen = self.clock()

    def check(self) -> None:
        """Raise ClusterLostError if Ray has ended; look every CHECK_INTERVAL_S."""
        now = self.clock()
        if now - self._checked < CHECK_INTERVAL_S:
            return
        self._checked = now
        if self.answers():
            self._seen = now
            if not self.node_is_alive():
                raise ClusterLostError(
                    "the raylet of this machine has ended, for example since the "
                    "machine was out of memory; rerun the stage, which resumes"
                )
        elif now - self._seen >= GCS_TIMEOUT_S:
            raise ClusterLostError(
                f"the control service of Ray (GCS) has not answered for "
                f"{now - self._seen:.0f} s; rerun the stage, which resumes"
            )


@contextmanager
def watching(
    watch: ClusterWatch, *, interval: float = CHECK_INTERVAL_S
) -> Iterator[None]:
    """Raise ClusterLostError in the block, which runs in the main thread, when Ray has
    ended.
    """
    left = threading.Event()
    found: list[ClusterLostError] = []

    def check_until_left() -> None:
        while not left.wait(interval):
            try:
                watch.check()
            except ClusterLostError as error:
                found[:] = [error]
            if found and not left.is_set():
                os.kill(os.getpid(), SIGNAL)

    def handle(_number: int, _frame: object) -> None:
        if not left.is_set():
            raise found[0]

    before = signal.signal(SIGNAL, handle)
    thread = threading.Thread(target=check_until_left, name="ftml-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join(timeout=2 * CONNECT_TIMEOUT_S)
        signal.signal(SIGNAL, before)
