"""Nodes that hold data, and nodes that an autoscaler has yet to start.

`make test-long` runs it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image
from ray._private.internal_api import node_stats
from ray.cluster_utils import Cluster

from ftml import Splits, Table, family
from pipelines.cluster.connect import ray_cluster
from pipelines.cluster.resources import ResourcesUnavailableError
from pipelines.params.study import Resources
from pipelines.study.folds import Fold
from pipelines.study.plan import Assignment, Search
from tests.conftest import free_port, run_stage
from tests.pipelines.searching import run
from tests.pipelines.servers import with_children

pytestmark = [pytest.mark.long, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Start a head without CPUs and two nodes of two CPUs each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    yield cluster
    cluster.shutdown()


def received() -> list[float]:
    """Return how many megabytes each living node has written into its object store."""
    found = []
    for node in ray.nodes():
        address, port = node["NodeManagerAddress"], node["NodeManagerPort"]
        if node["Alive"] and node["Resources"].get("CPU"):
            stats = node_stats(address, port, include_memory_info=False)
            found.append(stats.store_stats.cumulative_created_bytes / 1e6)
    return found


def on_both_nodes(splits: Splits[Table], met: Path, fold: Fold) -> Splits[Table]:
    """Return the data of a trial once trials of two nodes have asked for theirs."""
    (met / ray.get_runtime_context().get_node_id()).touch()
    deadline = time.monotonic() + 120
    while len(list(met.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return splits


def test_prepared_data_reach_each_node_once_and_not_once_a_trial(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    X = np.random.default_rng(0).normal(size=(50_000, 100))  # 40 MB
    table = Table(X, X[:, 0])
    splits = Splits(
        table.rows(np.arange(40_000)), table.rows(np.arange(40_000, 50_000))
    )
    config = family("ridge").Config().model_dump(mode="json")
    plan = Search(
        folder=tmp_path / "search",
        family="ridge",
        config=config,
        trials=tuple(Assignment((), {"alpha": 10.0**-i}) for i in range(12)),
        metric="mse",
        mode="min",
        resources=Resources(),
    )
    met = tmp_path / "met"
    met.mkdir()
    with ray_cluster():
        before = received()
        record = run(plan, partial(on_both_nodes, splits, met))
        grown = np.subtract(received(), before)
    assert record.complete(12)
    assert len(grown) == 2
    assert (40 < grown).all(), "each node trained"
    assert (grown < 2 * 40).all(), "and was sent the data once, for all of its trials"


PARAMS = """
datasets:
  tables: {{}}
  images:
    pictures: {{source: "file:{folder}/art", image_size: [8, 8]}}
  domains:
    places: {{source: "file:{folder}", image_size: [8, 8]}}
  cooccurrence: {{}}
experiments: {{}}
"""


def test_stages_of_images_make_the_same_bytes_on_nodes(
    cluster: Cluster, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("art/cat", "art/dog", "photo/cat", "photo/dog"):
        folder = tmp_path / "files" / name
        folder.mkdir(parents=True)
        for i in range(50):
            image = rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / f"{i:02}.png")
    (tmp_path / "params.yaml").write_text(PARAMS.format(folder=tmp_path / "files"))
    for stage, dataset in (("images", "pictures"), ("domains", "places")):
        made = []
        for environment in ({}, {"RAY_ADDRESS": cluster.address}):
            command = (f"pipelines.stages.{stage}", dataset)
            assert run_stage(tmp_path, *command, **environment) == (0, "")
            folder = tmp_path / "data" / dataset
            made.append({path.name: path.read_bytes() for path in folder.iterdir()})
            shutil.rmtree(folder)
        assert made[0] == made[1]


@pytest.fixture
def scaled_to_zero(tmp_path: Path) -> Iterator[str]:
    """Start a head without CPUs whose autoscaler may start a node with a GPU."""
    port = free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"
    lists = ("initialization_commands", "setup_commands", "head_setup_commands")
    lists += ("worker_setup_commands", "head_start_ray_commands", "rsync_exclude")
    lists += ("worker_start_ray_commands", "cluster_synced_files", "rsync_filter")
    node = {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}}
    config = {
        "cluster_name": "ftml",
        "max_workers": 2,
        "provider": {"type": "fake_multinode", "gcs_address": address},
        "available_node_types": {
            "ray.head.default": {
                "resources": {"CPU": 0},
                "node_config": {},
                "max_workers": 0,
            },
            "worker": {**node, "min_workers": 0, "max_workers": 1},
        },
        "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "auth": {},
        "docker": {},
        **{name: [] for name in lists},
    }
    (tmp_path / "cluster.yaml").write_text(json.dumps(config))
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += ["--num-cpus=0", f"--port={port}", "--include-dashboard=false"]
    command += [f"--autoscaling-config={tmp_path / 'cluster.yaml'}"]
    quick = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    log = tmp_path / "ray.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **quick}, stdout=file, stderr=file
        )
    deadline = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    yield address
    with_children(process.pid, signal.SIGKILL)
    process.wait()


def test_a_search_waits_for_a_node_that_the_autoscaler_starts(
    scaled_to_zero: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", scaled_to_zero)
    table = Table(np.eye(8), np.arange(8.0))
    splits = Splits(table, table)
    plan = Search(
        folder=tmp_path / "search",
        family="ridge",
        config={},
        trials=(Assignment((), {"alpha": 1.0}),) * 3,
        metric="mse",
        mode="min",
        resources=Resources(cpu=1.0, gpu=0.5),
    )
    with ray_cluster():
        with pytest.raises(ResourcesUnavailableError, match="1 with cpu: 0, gpu: 0"):
            run(plan, lambda fold: splits)
        monkeypatch.setenv("FTML_CLUSTER_WAIT", "120")
        record = run(plan, lambda fold: splits)
    assert record.complete(3)
    said = capsys.readouterr().out
    assert "waiting for a node with cpu: 1, gpu: 0.5: the cluster has nodes: 1" in said
