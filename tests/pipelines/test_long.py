"""What takes minutes: a server that is killed, nodes that are lost, a job with a token.

    make test-long

Deselected otherwise.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.conftest import ROOT, free_port, run_stage, runs, stage

pytestmark = [pytest.mark.long, pytest.mark.slow]

PARAMS = """
datasets:
  tables:
    digits: {source: "sklearn:digits", task: classification}
  images: {}
  domains: {}
  cooccurrence: {}
  sequences: {}
  pairs: {}
  trees: {}
experiments:
  digits:
    softmax_regression:
      trials: 4
      pack: 1
      seeds: 2
      report_every: 5
      early_stopping: {grace: 1000}
      config: {n_iterations: 3000, tolerance: 0.0}
"""
RESULTS = ("metrics.json", "trials.parquet", "fits.parquet", "best.yaml")
STUDY = Path("experiments/digits/softmax_regression")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the experiment has run in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "params.yaml").write_text(PARAMS)
    for name in ("pipelines.tables", "pipelines.experiment"):
        status, printed = run_stage(folder, name, "digits")
        assert status == 0, printed
    return folder


@pytest.fixture
def project(undisturbed: Path, tmp_path: Path) -> Path:
    """Return a folder in which the experiment has yet to run."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    shutil.copytree(undisturbed / "data", tmp_path / "data")
    return tmp_path


def assert_equal_results(folder: Path, undisturbed: Path) -> None:
    for name in RESULTS:
        ours, theirs = (root / STUDY / name for root in (folder, undisturbed))
        assert ours.read_bytes() == theirs.read_bytes(), name


def wait_for_steps(folder: Path, count: int) -> None:
    record = folder / ".search/digits/softmax_regression/search/record.jsonl"
    deadline = time.monotonic() + 180
    while not record.exists() or record.read_text().count('"n"') < count:
        assert time.monotonic() < deadline, "the stage reports nothing"
        time.sleep(0.05)


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the store in a folder; what is left of the server is killed at the end."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while not answers(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.2)
        yield server
    finally:
        with_children(server.pid, signal.SIGKILL)
        server.wait()


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
    except OSError:
        return False
    return True


def with_children(pid: int, number: int) -> None:
    """Send a signal to a process and all that it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def test_a_server_that_is_killed_and_comes_back_has_every_point_once(
    project: Path, undisturbed: Path
) -> None:
    port = free_port()
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with mlflow_server(project, port) as server:
        driver = stage(project, "pipelines.experiment", "digits", **address)
        wait_for_steps(project, 200)
        with_children(server.pid, signal.SIGKILL)
    time.sleep(20)
    assert driver.poll() is None, "the search goes on without the server"
    with mlflow_server(project, port):
        printed, _ = driver.communicate(timeout=400)
        assert driver.returncode == 0, printed
    assert_equal_results(project, undisturbed)
    trials, fits = (
        pd.read_parquet(project / STUDY / f"{name}.parquet")
        for name in ("trials", "fits")
    )
    points = runs(
        project,
        "select run_uuid, step from metrics where key = 'train_objective' "
        "order by run_uuid, timestamp, step",
    )
    assert len(points) == len(set(points)) == len(trials) + len(fits)
    assert points == sorted(points), "the points of a run came in order"
    statuses = runs(project, "select distinct status from runs")
    assert statuses == [("FINISHED",)]


@pytest.mark.parametrize("seed", range(10))
def test_a_node_that_is_lost_at_any_moment_changes_no_result(
    project: Path, undisturbed: Path, seed: int
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        rng = random.Random(seed)
        driver = stage(
            project,
            "pipelines.experiment",
            "digits",
            RAY_ADDRESS=cluster.address,
            FTML_CHECKPOINT_SECONDS="0.5",
        )
        wait_for_steps(project, rng.randrange(1, 2000))
        cluster.remove_node(rng.choice(nodes), allow_graceful=False)
        printed, _ = driver.communicate(timeout=400)
        assert driver.returncode == 0, printed
    finally:
        cluster.shutdown()
    assert_equal_results(project, undisturbed)
    assert runs(project, "select distinct status from runs") == [("FINISHED",)]


TOKEN = "a" * 64


@pytest.fixture
def head(tmp_path: Path) -> Iterator[int]:
    """Start `ray start --head` with a token and a job server; return its port."""
    ports = {"--port": free_port(), "--dashboard-port": free_port()}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += [f"{name}={port}" for name, port in ports.items()] + ["--num-cpus=2"]
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = tmp_path / "ray.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **secret, "PATH": path},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    yield ports["--dashboard-port"]
    with_children(process.pid, signal.SIGKILL)
    process.wait()


def test_a_job_with_a_token_brings_its_results_back(
    head: int, undisturbed: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    (clone / "params.yaml").write_text(PARAMS)
    dvc = [sys.executable, "-m", "dvc", "remote", "add", "-q", "--default", "store"]
    subprocess.run([*dvc, str(tmp_path / "store")], check=True, cwd=clone)
    port = free_port()
    told = {
        "RAY_ADDRESS": f"http://127.0.0.1:{head}",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "RAY_AUTH_MODE": "token",
        "PYTHONPATH": str(clone),
    }
    job = ("pipelines.job", "submit", "experiment@digits")
    with mlflow_server(tmp_path, port):
        status, printed = run_stage(clone, *job, **told, RAY_AUTH_TOKEN="b" * 64)
        assert status == 1
        assert "no job sent" in printed
        status, printed = run_stage(clone, *job, **told, RAY_AUTH_TOKEN=TOKEN)
    assert status == 0, printed
    assert TOKEN not in printed
    assert "softmax_regression: 4 trials" in printed
    assert_equal_results(clone, undisturbed)
    assert runs(tmp_path, "select distinct status from runs") == [("FINISHED",)]
    made = json.loads((clone / STUDY / "metrics.json").read_text())
    assert made["trials"] == 4
