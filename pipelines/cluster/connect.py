"""Connects a stage to the Ray cluster of RAY_ADDRESS, or starts Ray on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any

# Ray reads these variables when it is imported. The record of a search replaces Tune's
# CSV, JSON and TensorBoard logs and its experiment snapshots; usage is not reported.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1e9")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray prints a traceback for the error of each task whose result nobody has read, such
# as of all workers when the driver ends because the coordinator has crashed.
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
# With "1", CUDA_VISIBLE_DEVICES is empty for a trial that requests no GPU. By default
# it is unset, so that the trials of all CPUs would train on the first GPU.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")

import ray

from pipelines.cluster import leftovers, ray_internals
from pipelines.cluster.watch import (
    ClusterLostError,
    ClusterWatch,
    SearchError,
    watching,
)
from pipelines.common.explain import explain, first_sentence

HIDE_GPUS = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"
AUTH_MODE = "RAY_AUTH_MODE"

PACKAGES = Path(__file__).parents[2]
"The folder that holds the packages ftml and pipelines."


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
        _use_local_token(address)
    ray_internals.quiet_authentication()
    leftovers.check_space()
    ray_internals.shorten_messages()
    ray_internals.keep_sigterm_handler()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    started: Any = None
    try:
        with chdir(PACKAGES), _own_sigterm_handler():
            if address:
                code = [str(PACKAGES / part) for part in ("ftml", "pipelines")]
                # Workers of a cluster do not have this driver's environment.
                variables = {HIDE_GPUS: os.environ[HIDE_GPUS]}
                environment = {"py_modules": code, "env_vars": variables}
                ray.init(address, runtime_env=environment, **quiet)
            else:
                ray_internals.start_fewer_processes()
                with leftovers.starting_session():
                    started = ray.init("local", include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises Exception itself where a process of it ends
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        reason = f"no Ray cluster {where}: {first_sentence(error).rstrip('.')}"
        raise SearchError(f"{reason}{_hint(error, address)}") from error
    # Tune logs a traceback for each failure of a trial; an error that ends a search is
    # raised.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        with ExitStack() as stack:
            if session := ray_internals.session_folder(started):
                stack.enter_context(leftovers.marked_session(session))
            stack.enter_context(watching(ClusterWatch()))
            yield
    except ClusterLostError:
        # Shutting down waits for Ray, which ends this process before the error is said.
        raise
    except BaseException:
        ray.shutdown()
        raise
    ray.shutdown()


@contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM after the block.

    `ray.init` has Ray's core print six lines at SIGTERM, on where the process was.
    Restoring the handler in Python ends that.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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


def _use_local_token(address: str) -> None:
    """Send the token of `~/.ray/auth_token` to a cluster on this machine.

    `ray.init` without an address, as in a stage without RAY_ADDRESS, writes that token.
    From then on `ray start` requires it, but Ray 2.60 sends it to an explicit address
    only if RAY_AUTH_MODE is set. A cluster that requires no token ignores it.
    """
    host = address.removeprefix("ray://").rpartition(":")[0]
    if host in ("127.0.0.1", "localhost", ray.util.get_node_ip_address()):
        ray_internals.use_local_token()


def _hint(error: Exception, address: str | None) -> str:
    """Return which environment variable to set, for an error of `ray.init`."""
    if "AF_UNIX path length" in str(error):
        name = "RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR"
        return (
            f"; {name}={os.environ.get(name, '')} is too long for the paths of Ray's "
            "sockets; set RAY_TMPDIR to a shorter folder, such as /tmp"
        )
    if address and os.environ.get(AUTH_MODE, "").lower() != "token":
        return (
            f"; if the cluster requires a token, set {AUTH_MODE}=token, with its token "
            "in ~/.ray/auth_token or RAY_AUTH_TOKEN"
        )
    _, _, advice = explain(error).partition(first_sentence(error).rstrip("."))
    return advice
