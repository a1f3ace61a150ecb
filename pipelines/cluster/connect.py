"""The Ray cluster that a stage works on: one that is there, or one of its own."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Read by Ray when it is imported: our own record replaces Tune's CSV, JSON and
# TensorBoard logs and its snapshots, and usage is not reported.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1e9")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray


class SearchError(ValueError):
    """A search could not be completed; the stage, run again, goes on from there."""


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connect to the Ray cluster in RAY_ADDRESS, or start one here, and leave it at the
    end.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_address(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            code = [
                str(Path(__file__).parents[2] / part) for part in ("ftml", "pipelines")
            ]
            ray.init(address, runtime_env={"py_modules": code}, **quiet)
        else:
            ray.init("local", include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        raise SearchError(f"no Ray cluster {where}: {error}") from None
    # Tune logs the traceback of each failure of a trial; what ends a search is raised.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise SearchError when nobody listens there: Ray itself would try for minutes."""
    if address.startswith(("http://", "https://")):
        raise SearchError(
            f"RAY_ADDRESS={address} is a job server, which `make job` uses; "
            "a stage needs the cluster's own address, host:6379"
        )
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # "auto" and the like, which Ray looks up
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        where = f"no Ray cluster at RAY_ADDRESS={address}"
        raise SearchError(f"{where}: {error}") from None
