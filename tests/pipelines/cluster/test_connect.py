"""A cluster that is there already: RAY_ADDRESS, several nodes, and none at all."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from pipelines.cluster import connect
from pipelines.cluster.connect import SearchError, ray_cluster
from pipelines.common.errors import stage_process
from pipelines.stages import tables
from tests.conftest import free_port, run_stage, stage

PARAMS = """
datasets:
  tables:
    digits: {source: "sklearn:digits", task: classification}
experiments:
  digits:
    softmax_regression:
      trials: 4
      batch_trials: 1
      report_every: 50
      early_stopping: {grace: 1000}
      config: {n_iterations: 300, tolerance: 0.0}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "params.yaml").write_text(PARAMS)
    with contextlib.chdir(folder):
        tables.main("digits")
    return folder / "data"


@pytest.fixture
def project(data: Path, tmp_path: Path, empty_store: Path) -> Path:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data").symlink_to(data)
    return tmp_path


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Start two nodes of one CPU each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def trial_processes() -> list[psutil.Process]:
    """Return the processes that run a trial on the nodes that this process started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "ImplicitFunc" in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def hold_until_two_raylets_have_one(driver: subprocess.Popen[str]) -> set[int]:
    """Hold the first process of a trial until another raylet has one, or a minute;
    return the raylets that had any.
    """
    raylets: set[int] = set()
    held: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while driver.poll() is None:
        for process in trial_processes():
            if not raylets:
                process.suspend()
                held.append(process)
            raylets.add(process.ppid())
        if len(raylets) == 2 or time.monotonic() > deadline:
            for process in held:
                process.resume()
            held.clear()
        time.sleep(0.1)
    return raylets


@pytest.mark.slow
@pytest.mark.long
def test_two_nodes_share_a_search(project: Path, cluster: Cluster) -> None:
    driver = stage(
        project, "pipelines.stages.experiment", "digits", RAY_ADDRESS=cluster.address
    )
    raylets = hold_until_two_raylets_have_one(driver)
    printed = driver.stdout.read()
    driver.stdout.close()
    assert driver.returncode == 0, printed
    assert len(raylets) == 2, "each node's raylet is the parent of its workers"
    metrics = project / "experiments/digits/softmax_regression/metrics.json"
    assert json.loads(metrics.read_text())["trials"] == 4


@pytest.mark.slow
def test_a_cluster_that_is_there_is_used(project: Path, local_cluster: None) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("trials: 4", "trials: 1"))
    address = ray.get_runtime_context().gcs_address
    status, printed = run_stage(
        project, "pipelines.stages.experiment", "digits", RAY_ADDRESS=address
    )
    assert status == 0, printed
    assert printed.startswith(f"connecting to Ray at {address}\n")
    assert "\nsoftmax_regression: 1 trial, 1 final fit" in printed
    assert ray.is_initialized(), "the stage leaves a cluster that it has not started"
    assert len(ray.nodes()) == 1


def test_the_address_of_a_job_server_is_refused_as_that_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    with (
        pytest.raises(SearchError, match="is a job server, which `make job` uses"),
        ray_cluster(),
    ):
        pass


def test_a_cluster_that_does_not_answer_is_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with (
        pytest.raises(
            SearchError, match=f"^no Ray cluster at RAY_ADDRESS={address}: [^\n]+$"
        ),
        ray_cluster(),
    ):
        pass


@pytest.mark.parametrize(
    ("error", "variables", "hint"),
    [
        (
            OSError("AF_UNIX path length cannot exceed 107 bytes: x/plasma_store"),
            {"TMPDIR": "/long"},
            "; TMPDIR=/long is too long for the paths of Ray's sockets; set RAY_TMPDIR",
        ),
        (
            OSError("AF_UNIX path length cannot exceed 107 bytes: x/plasma_store"),
            {"TMPDIR": "/long", "RAY_TMPDIR": "/longer"},
            "; RAY_TMPDIR=/longer is too long",
        ),
        (
            ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379"),
            {"RAY_ADDRESS": "10.0.0.1:6379"},
            "; if the cluster requires a token, set RAY_AUTH_MODE=token",
        ),
    ],
)
def test_an_error_of_ray_is_one_line_that_names_the_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    variables: dict[str, str],
    hint: str,
) -> None:
    def init(*arguments: object, **options: object) -> None:
        raise error

    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(connect, "_check_address", lambda address: None)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(SearchError, match=re.escape(f"{error}{hint}")), ray_cluster():
        pass


@pytest.mark.parametrize(
    ("address", "sent"), [("127.0.0.1:6379", True), ("10.0.0.1:6379", False)]
)
def test_the_token_of_this_machine_is_sent_to_its_own_cluster_only(
    monkeypatch: pytest.MonkeyPatch, address: str, *, sent: bool
) -> None:
    called: list[dict[str, bool]] = []
    name = "maybe_enable_token_auth_if_token_available"
    monkeypatch.setattr(
        connect.ray_internals.authentication_token_setup,
        name,
        lambda **options: called.append(options),
    )
    connect._use_local_token(address)
    assert called == [{"warn_if_disabled": False}] * sent


def test_a_sigterm_ends_the_driver_as_it_would_without_ray(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def init(*_: object, **__: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        faulthandler.register(signal.SIGTERM, chain=True)  # prints, as Ray's core does

    def ends(number: int, _: object) -> None:
        sys.exit(128 + number)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    before = signal.signal(signal.SIGTERM, ends)
    try:
        with pytest.raises(SystemExit) as ended, ray_cluster():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        faulthandler.unregister(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.usefixtures("local_cluster")
@pytest.mark.parametrize("wait", [ray.get, lambda ref: ray.wait([ref])])
def test_a_sigterm_while_the_driver_waits_for_ray_has_its_status(
    wait: Callable[[object], object], capsys: pytest.CaptureFixture[str]
) -> None:
    pending = ray.remote(num_cpus=1000)(lambda: None).remote()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(SystemExit) as ended, stage_process():
        wait(pending)
    ray.cancel(pending)
    assert ended.value.code == 143
    assert capsys.readouterr().err.startswith("ended by SIGTERM; ")
