"""A disk without free space for a checkpoint."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ftml import Table
from ftml.data import table
from tests.conftest import run_stage, runs

pytestmark = [pytest.mark.slow, pytest.mark.long]

BIG = """
datasets:
  tables:
    big: {source: "file:none.csv", task: classification}
experiments:
  big:
    softmax_regression:
      report_every: 2
      config: {n_iterations: 40, tolerance: 0.0}
"""


@pytest.fixture
def small_disk(tmp_path: Path, empty_store: Path) -> Iterator[Path]:
    """Return a project whose `.search` is a disk of 1 MB, with larger states."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(BIG)
    (tmp_path / "data/big").mkdir(parents=True)
    rng = np.random.default_rng(0)
    # Few columns, many classes: a state of 0.5 MB, in a table that is quick to serve.
    X, y = rng.normal(size=(300, 200)), np.arange(300) % 100
    split = np.repeat(["train", "valid", "test"], 100)
    classes = tuple(f"class {j}" for j in range(100))
    table.write(tmp_path / "data/big", Table(X, y, classes=classes), split)
    disk = tmp_path / ".search"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small disk needs the right to do so")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_one_error_and_what_was_done_is_kept(small_disk: Path) -> None:
    command = ("pipelines.stages.experiment", "big")
    status, printed = run_stage(small_disk, *command, FTML_CHECKPOINT_SECONDS="0")
    assert status == 1
    assert "no checkpoint of step" in printed
    assert "No space left on device" in printed
    assert "Traceback" not in printed
    assert ("RUNNING",) not in runs(small_disk, "select status from runs")
    assert not (small_disk / "experiments/big").exists()
    resize = ["mount", "-o", "remount,size=100m", str(small_disk / ".search")]
    subprocess.run(resize, check=True)
    status, printed = run_stage(small_disk, *command, FTML_CHECKPOINT_SECONDS="0")
    assert status == 0, printed
    points = runs(
        small_disk, "select run_uuid, step from metrics where key like 'train_o%'"
    )
    assert len(points) == len(set(points)) > 20
