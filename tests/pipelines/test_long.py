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
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from ray.cluster_utils import Cluster

from pipelines.study.workspace import CHECKPOINTS
from tests.conftest import ROOT, free_port, run_stage, runs, stage
from tests.pipelines.hosts import Host, network
from tests.pipelines.servers import s3_client, sqlite_server, storage, with_children

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
      batch_trials: 1
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
    for name in ("pipelines.stages.tables", "pipelines.stages.experiment"):
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


def test_a_server_that_is_killed_and_comes_back_has_every_point_once(
    project: Path, undisturbed: Path
) -> None:
    port = free_port()
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with sqlite_server(project, port) as server:
        driver = stage(project, "pipelines.stages.experiment", "digits", **address)
        wait_for_steps(project, 200)
        with_children(server.pid, signal.SIGKILL)
    time.sleep(20)
    assert driver.poll() is None, "the search continues without the server"
    with sqlite_server(project, port):
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
            "pipelines.stages.experiment",
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


QUICK_TO_DECLARE_DEAD = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_raylet_start_wait_time_s": "120",
}


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Collect the processes of `start_ray`, which end with their hosts."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.wait(timeout=60)


def test_a_host_that_is_cut_off_and_returns_changes_no_result(
    project: Path,
    undisturbed: Path,
    tmp_path: Path,
    started: list[subprocess.Popen[bytes]],
) -> None:
    def start(host: Host, *options: str) -> subprocess.Popen[bytes]:
        started.append(start_ray(host, tmp_path, *options))
        return started[-1]

    with network(f"ft{os.getpid() % 1000}", ["head", "one", "two"]) as hosts:
        head, one, two = hosts
        start(head, "--head", "--num-cpus=0", "--port=6379")
        join = (f"--address={head.address}:6379", "--num-cpus=1")
        lost = start(one, *join)
        start(two, *join)
        driver = subprocess.Popen(
            [
                *head.inside,
                sys.executable,
                "-m",
                "pipelines.stages.experiment",
                "digits",
            ],
            cwd=project,
            env={
                **os.environ,
                **QUICK_TO_DECLARE_DEAD,
                "PYTHONPATH": str(ROOT),
                "RAY_ADDRESS": f"{head.address}:6379",
                "FTML_CHECKPOINT_SECONDS": "0.5",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_for_steps(project, 300)
        one.unplug()
        deadline = time.monotonic() + 90
        while one.address in alive(head):
            assert time.monotonic() < deadline, "Ray still lists the host as alive"
        assert driver.poll() is None, "the search continues without the host"
        one.plug()
        lost.wait(
            timeout=120
        )  # Ray on the host ends when it learns that it was removed
        start(one, *join)
        assert one.address in alive(head)
        printed, _ = driver.communicate(timeout=400)
        assert driver.returncode == 0, printed
    assert_equal_results(project, undisturbed)
    assert runs(project, "select distinct status from runs") == [("FINISHED",)]
    doubled = "select 1 from metrics group by run_uuid, key, step having count(*) > 1"
    assert runs(project, doubled) == []


def start_ray(host: Host, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Run `ray start` on a host, and return when it has joined."""
    ray = str(Path(sys.executable).with_name("ray"))
    log = folder / f"{host.name}-{time.time()}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*host.inside, ray, "start", "--block", *options],
            env={**os.environ, **QUICK_TO_DECLARE_DEAD},
            stdout=file,
            stderr=file,
        )
    deadline = time.monotonic() + 180
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return process


def alive(head: Host) -> list[str]:
    """Return the addresses of the hosts that the head believes to be alive."""
    code = (
        "import ray; ray.init('auto', log_to_driver=False, logging_level='ERROR'); "
        "print(*(n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']))"
    )
    command = [*head.inside, sys.executable, "-c", code]
    return subprocess.check_output(command, text=True, timeout=120).split()


def test_a_driver_in_another_clone_goes_on_from_the_checkpoints_in_s3(
    project: Path, undisturbed: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project, clone)
    study = ".search/digits/softmax_regression"
    experiment = ("pipelines.stages.experiment", "digits")
    with storage("checkpoints") as variables:
        environment = {
            **variables,
            "FTML_STORAGE": "s3://checkpoints/ftml",
            "FTML_CHECKPOINT_SECONDS": "0.5",
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
            "FTML_IDENTITY": "0" * 32,  # the clone takes the place of the folder
        }
        missing = {**environment, "FTML_STORAGE": "s3://no-such-bucket/ftml"}
        status, printed = run_stage(project, *experiment, **missing)
        assert (status, printed.count("\n")) == (1, 1)
        assert "error: FTML_STORAGE=s3://no-such-bucket/ftml: cannot be" in printed
        driver = stage(project, *experiment, **environment)
        wait_for_steps(project, 1000)
        driver.kill()
        driver.communicate(timeout=60)
        assert not (project / ".search/digits" / CHECKPOINTS).exists()
        assert any(f"/{CHECKPOINTS}/" in name for name in objects(variables))
        shutil.rmtree(project / ".search")
        driver = stage(clone, *experiment, **environment)
        wait_for_steps(clone, 1)
        brought = (clone / study / "search/record.jsonl").read_text().count('"n"')
        printed, _ = driver.communicate(timeout=400)
        assert driver.returncode == 0, printed
        assert brought > 200, "it did not begin anew"
        assert [name for name in objects(variables) if not name.endswith("/")] == []
    assert_equal_results(clone, undisturbed)
    assert runs(tmp_path, "select distinct status from runs") == [("FINISHED",)]
    doubled = "select 1 from metrics group by run_uuid, key, step having count(*) > 1"
    assert runs(tmp_path, doubled) == []


def objects(variables: dict[str, str]) -> list[str]:
    """Return the names of all that is in the bucket `checkpoints`."""
    listed = s3_client(variables).list_objects_v2(Bucket="checkpoints")
    return [each["Key"] for each in listed.get("Contents", [])]


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
    environment = {
        "RAY_ADDRESS": f"http://127.0.0.1:{head}",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "RAY_AUTH_MODE": "token",
        "PYTHONPATH": str(clone),
    }
    job = ("pipelines.cli", "job", "submit", "experiment@digits")
    with sqlite_server(tmp_path, port):
        status, printed = run_stage(clone, *job, **environment, RAY_AUTH_TOKEN="b" * 64)
        assert status == 1
        assert "no job submitted" in printed
        status, printed = run_stage(clone, *job, **environment, RAY_AUTH_TOKEN=TOKEN)
    assert status == 0, printed
    assert TOKEN not in printed
    assert "softmax_regression: 4 trials" in printed
    assert_equal_results(clone, undisturbed)
    assert runs(tmp_path, "select distinct status from runs") == [("FINISHED",)]
    made = json.loads((clone / STUDY / "metrics.json").read_text())
    assert made["trials"] == 4
