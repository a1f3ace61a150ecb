"""Connects a stage to the Ray cluster of RAY_ADDRESS, or starts Ray on this machine."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

# Ray reads these variables when it is imported. The record of a search replaces Tune's
# CSV, JSON and TensorBoard logs and its experiment snapshots; usage is not reported.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1e9")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray

PACKAGES = Path(__file__).parents[2]
"The folder that holds the packages ftml and pipelines."


class SearchError(ValueError):
    """A search could not be completed. The stage resumes it when it is rerun."""


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connect to the Ray cluster of RAY_ADDRESS, or start Ray on this machine; shut the
    connection, or the started Ray, down on exit.

    Workers of a cluster import the code of this driver, which Ray uploads to them. Ray
    puts the current folder of the driver before everything else on the path of a
    worker. That is the folder of our packages while Ray starts, so that a folder
    `pipelines` of the user's project is not imported in place of ours.
    Raises SearchError when there is no cluster at the address or Ray cannot start.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_address(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with chdir(PACKAGES):
            if address:
                code = [str(PACKAGES / part) for part in ("ftml", "pipelines")]
                ray.init(address, runtime_env={"py_modules": code}, **quiet)
            else:
                ray.init("local", include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        raise SearchError(f"no Ray cluster {where}: {error}") from None
    # Tune logs a traceback for each failure of a trial; an error that ends a search is
    # raised.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise SearchError when nothing listens at an address; Ray retries for minutes."""
    if address.startswith(("http://", "https://")):
        raise SearchError(
            f"RAY_ADDRESS={address} is a job server, which `make job` uses; "
            "a stage needs the cluster's own address, host:6379"
        )
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # "auto" or "local", which Ray resolves
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        where = f"no Ray cluster at RAY_ADDRESS={address}"
        raise SearchError(f"{where}: {error}") from None
