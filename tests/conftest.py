"""What several test modules share."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]


# Tests never talk to a cluster or a server that the developer happens to use, and the
# clusters that they start are open to each other.
for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)
os.environ["RAY_AUTH_MODE"] = "disabled"
# Compiled modules are kept: every worker and every process of a test would otherwise
# compile all modules again, and pytest rewrite the assertions of all test modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Two processes with two threads each wait for one another on two cores: eight times the
# time for families of small networks.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The modules that a run imports are never freed, and looking for garbage among their
# objects takes a fifth of the CPU time of the collection.
gc.disable()

# A test that passes on a free machine passes on a busy one, whatever the clock says.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that share a Ray cluster, then with the files of slow tests:
    they mostly wait, the others compute.

    One worker runs all tests on the shared cluster, and one worker all tests of a slow
    file, which share what is made once; the others go to whoever has nothing to do.
    Files that share a fixture of the session have a mark of their own.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not _uses_cluster(item), item.path not in slow))
    for item in items:
        if _uses_cluster(item):
            item.add_marker(pytest.mark.xdist_group("cluster"))
        elif item.path in slow and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def pytest_collection_finish() -> None:
    """Look for garbage among the objects of tests only."""
    gc.freeze()
    gc.enable()


def _uses_cluster(item: pytest.Item) -> bool:
    return "local_cluster" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[None]:
    """Start Ray with two CPUs for all tests that need a cluster but not their own:
    starting one takes 8 s of CPU time. It ends after the last of them.
    """
    import ray

    from pipelines.cluster import ray_internals

    ray_internals.start_fewer_processes()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared Ray cluster after its last test: its processes use CPU time and
    memory as long as they run.
    """
    if _uses_cluster(item) and not (nextitem and _uses_cluster(nextitem)):
        import ray

        ray.shutdown()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated, empty database: making one takes seconds. The processes of
    pytest-xdist share it.
    """
    from pipelines.common.locks import lock_file
    from pipelines.tracking import client as tracking_client

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    (folder := root / "empty-store").mkdir(exist_ok=True)
    lock = lock_file(folder / "lock", purpose="make the empty store", wait=True)
    with lock, contextlib.chdir(folder):
        if not Path("mlflow.db").exists():
            tracking_client.open_store()
            forget_store()
    return folder / "mlflow.db"


def forget_store() -> None:
    import mlflow

    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def stage(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m <arguments>` in a folder, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_stage(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run `python -m <arguments>` in a folder; return status and output."""
    process = stage(folder, *arguments, **environment)
    printed, _ = process.communicate(timeout=240)
    return process.returncode, printed


def modules_imported_by(name: str) -> set[str]:
    """Return the modules that a new process holds after importing this one."""
    code = f"import sys, {name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def runs(folder: Path, query: str) -> list[tuple]:
    """Return what a query finds in the MLflow database of a folder."""
    with sqlite3.connect(f"file:{folder}/mlflow.db?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
