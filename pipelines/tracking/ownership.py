"""Who owns a run in MLflow, and which runs are stale.

Owner. A run belongs to the project folder that has started it: the tag `ftml.folder` is
the identity of the folder (`pipelines.common.project`). Only drivers of that folder
write to the run, and they continue no other run. A run without the tag, of an earlier
version, belongs to the folder that holds the store, if it is in the default store
`mlflow.db` of the folder; on a server it belongs to nobody, and is only read.

Alive. The tags `ftml.driver` (`host:pid`) and `ftml.process` (boot, namespace of
process ids, start) name the process that writes. On its host, they say whether the
process is alive (`pipelines.common.processes`). From another host, or from another
container, it follows from the tag `ftml.heartbeat` of the run of the study: a driver
that writes to a server sets it each HEARTBEAT_INTERVAL_S, and counts as crashed
HEARTBEAT_TIMEOUT_S after the last one.

`close_stale_runs` closes the runs of crashed drivers as KILLED. A driver closes those
of its own folder. The command `ftml close-stale-runs`, which a person starts, also
closes those of other folders, whose owner opens them again when it continues; no other
code writes to the run of another folder.
"""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag

from pipelines.common.processes import is_alive, read_process, this_process
from pipelines.common.project import folder_identity
from pipelines.tracking.local_store import SQLITE, is_default_store, store_address

FOLDER = "ftml.folder"
"Tag of a run: the identity of the project folder that it belongs to."

DRIVER, PROCESS = "ftml.driver", "ftml.process"
"Tags of a run: the process that writes to it, as `host:pid`, and its origin."

HEARTBEAT = "ftml.heartbeat"
"Tag of the run of a study: the Unix time, in s, at which its driver was last alive."

ERROR = "ftml.error"
"Tag of a run that has failed, or of a trial that has diverged: the reason."

CLOSED = "ftml.closed"
"Tag of a run that was closed as stale: the reason. It goes when a driver continues it."

HEARTBEAT_INTERVAL_S = 30.0
HEARTBEAT_TIMEOUT_S = 300.0
"Age of a heartbeat from which a driver that cannot be seen counts as crashed."


def driver_tags() -> dict[str, str]:
    """Return the tags by which a run names this process as its driver."""
    process = this_process()
    return {DRIVER: process.name, PROCESS: process.origin}


def owner_tags() -> dict[str, str]:
    """Return the tags of a run that this process creates: folder, driver and user."""
    return {FOLDER: folder_identity(), "mlflow.user": user(), **driver_tags()}


def user() -> str:
    """Return the name of the user: of the account at the MLflow server, or of this
    machine; "unknown" where the system has no name for the user.
    """
    if name := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an id without a name, as in some containers
        return "unknown"


def is_own(run: Run) -> bool:
    """Return whether a run belongs to this project folder. No identity is written."""
    if folder := run.data.tags.get(FOLDER):
        return bool(folder == folder_identity(create=False))
    return is_default_store()


def own(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that belong to this project folder, in the given order."""
    return [run for run in runs if is_own(run)]


def take_over(client: MlflowClient, run: Run) -> None:
    """Set a run of this folder to RUNNING, with this process as its driver and without
    the tags that say how an earlier attempt has ended.
    """
    for name in (ERROR, CLOSED):
        if name in run.data.tags:
            client.delete_tag(run.info.run_id, name)
    client.update_run(run.info.run_id, status="RUNNING")
    tags = {FOLDER: folder_identity(), **driver_tags()}
    listed = [RunTag(name, value) for name, value in tags.items()]
    client.log_batch(run.info.run_id, tags=listed)


def crashed(run: Run, *, heartbeat: float, timeout: float | None) -> str:
    """Return why the driver of a run that is RUNNING counts as crashed; "" if it does
    not.

    heartbeat: Unix time of the last heartbeat.
    timeout: age of a heartbeat, in s, from which a driver that cannot be seen from here
        counts as crashed; None for never.
    """
    tags = run.data.tags
    process = read_process(tags.get(DRIVER, ""), tags.get(PROCESS, ""))
    if process is None:
        return ""
    alive = is_alive(process)
    if alive is not None:
        return "" if alive else "its driver crashed"
    age = time.time() - heartbeat
    if timeout is not None and age > timeout:
        return f"no heartbeat for {age / 60:.0f} min"
    return ""


def last_heartbeat(run: Run) -> float:
    """Return the Unix time at which the driver of a run was last known to be alive."""
    started = float(run.info.start_time) / 1000
    return max(started, float(run.data.tags.get(HEARTBEAT, 0)))


def other_driver(run: Run) -> str:
    """Return the driver, another process that may be alive, of a run that is RUNNING,
    as the end of a sentence; "" if this process may continue the run.
    """
    if run.info.status != "RUNNING":
        return ""
    tags, this = run.data.tags, this_process()
    process = read_process(tags.get(DRIVER, ""), tags.get(PROCESS, ""))
    if process is None or process.name == this.name:
        return ""
    heard = last_heartbeat(run)
    if crashed(run, heartbeat=heard, timeout=HEARTBEAT_TIMEOUT_S):
        return ""
    age = time.time() - heard
    return f"process {process.pid} on {process.host}, alive {age:.0f} s ago"


def close_stale_runs(
    client: MlflowClient,
    running: Sequence[Run],
    *,
    heartbeat_timeout: float | None = None,
) -> int:
    """Close those of the runs that are stale, as KILLED; return their number.

    `running` are runs that are RUNNING, the children of a study with the run of the
    study, whose heartbeat they have. A run is stale when its driver is known to have
    crashed, and when the driver cannot be seen from here and its last heartbeat is
    older than `heartbeat_timeout`, in s, if that is given. The tag `ftml.closed` holds
    the reason.
    """
    heartbeats = {run.info.run_id: last_heartbeat(run) for run in running}
    closed = 0
    for run in running:
        study = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
        heard = max(last_heartbeat(run), heartbeats.get(study, 0))
        if reason := crashed(run, heartbeat=heard, timeout=heartbeat_timeout):
            client.set_tag(run.info.run_id, CLOSED, reason)
            client.set_terminated(run.info.run_id, "KILLED")
            closed += 1
    return closed


class Heartbeat:
    """Sets the heartbeat of a run while it is open, from a thread of its own.

    A store in a database file has none: its drivers are processes of one host. A
    heartbeat that the server does not accept is left out.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._closed = threading.Event()

    def start(self) -> None:
        """Start the thread, if the store is on a server."""
        if not store_address().startswith(SQLITE):
            threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_INTERVAL_S):
            with suppress(Exception):
                self._client.set_tag(self._run_id, HEARTBEAT, f"{time.time():.0f}")

    def stop(self) -> None:
        """End the thread after the call that it is in."""
        self._closed.set()
