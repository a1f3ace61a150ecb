"""Whatever is killed, at any time: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil
import pytest

from pipelines.stages import tables
from tests.conftest import run_stage, runs, stage

pytestmark = pytest.mark.slow

# Three trials of a second each, all of full length, two in one trial batch, then four
# final fits: each reports 40 times, so that a driver can be killed between reports.
PARAMS = """
datasets:
  tables:
    digits: {source: "sklearn:digits", task: classification}
experiments:
  digits:
    softmax_regression:
      trials: 3
      batch_trials: 2
      seeds: 4
      report_every: 10
      early_stopping: {grace: 1000}
      config: {n_iterations: 400, tolerance: 0.0}
"""
STUDY = Path("digits/softmax_regression")
RESULTS = ("metrics.json", "trials.parquet", "fits.parquet", "best.yaml", "model")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Return a folder in which the experiment has run in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copy(empty_store, folder / "mlflow.db")
    (folder / "params.yaml").write_text(PARAMS)
    with contextlib.chdir(folder):
        tables.main("digits")
    status, printed = run_stage(folder, "pipelines.stages.experiment", "digits")
    assert status == 0, printed
    assert_whole(folder, undisturbed=folder)
    return folder


@pytest.fixture
def folder(undisturbed: Path, tmp_path: Path, empty_store: Path) -> Path:
    """Return a folder in which the experiment has yet to run."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(PARAMS)
    shutil.copytree(undisturbed / "data", tmp_path / "data")
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    return stage(
        folder, "pipelines.stages.experiment", "digits", FTML_CHECKPOINT_SECONDS="0.5"
    )


def wait_for_steps(folder: Path, count: int, *, phase: str = "search") -> None:
    """Wait until the trials of a phase have reported that many steps."""
    record = folder / ".search" / STUDY / phase / "record.jsonl"
    deadline = time.monotonic() + 120
    while not record.exists() or record.read_text().count('"n"') < count:
        assert time.monotonic() < deadline, "the stage reports nothing"
        time.sleep(0.05)


def workers(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that run a trial for this driver."""
    below = psutil.Process(driver.pid).children(recursive=True)
    return [child for child in below if "ImplicitFunc" in " ".join(child.cmdline())]


def assert_whole(folder: Path, *, undisturbed: Path) -> None:
    """All trials finished once, every metric point there once, no run left open,
    results equal to those of the undisturbed run, and no working directory left.
    """
    statuses = Counter(status for (status,) in runs(folder, "select status from runs"))
    # The study, its trials and its final fits, and the comparison of the dataset.
    assert statuses == {"FINISHED": 1 + 3 + 4 + 1}
    trials = pd.read_parquet(folder / "experiments" / STUDY / "trials.parquet")
    fits = pd.read_parquet(folder / "experiments" / STUDY / "fits.parquet")
    assert not trials.duplicated(["trial", "n"]).any()
    assert list(trials.groupby("trial").size()) == [40, 40, 40]
    points = runs(
        folder, "select run_uuid, step from metrics where key = 'train_objective'"
    )
    assert len(points) == len(set(points)) == len(trials) + len(fits)
    doubled = "select 1 from metrics group by run_uuid, key, step having count(*) > 1"
    assert runs(folder, doubled) == []
    for name in RESULTS:
        ours, theirs = (
            root / "experiments" / STUDY / name for root in (folder, undisturbed)
        )
        files = [ours, *ours.rglob("*")] if ours.is_dir() else [ours]
        for path in (each for each in files if each.is_file()):
            twin = theirs / path.relative_to(ours)
            assert path.read_bytes() == twin.read_bytes(), path
    assert not (folder / ".search").exists()


@pytest.mark.parametrize(
    "ways",
    [
        pytest.param(
            [(signal.SIGKILL, "search", 60), (signal.SIGTERM, "fits", 1)],
            id="killed, terminated",
        ),
        pytest.param(
            [
                (signal.SIGINT, "search", 1),
                (signal.SIGTERM, "search", 60),
                (signal.SIGKILL, "fits", 1),
            ],
            id="interrupted, terminated, killed",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_worker_killed_and_a_driver_stopped_again_and_again_lose_nothing(
    ways: list[tuple[int, str, int]], folder: Path, undisturbed: Path
) -> None:
    for number, phase, count in ways:
        driver = start(folder)
        if count == 60:
            wait_for_steps(folder, 20)
            for worker in workers(driver):
                worker.kill()  # the driver has others go on from their checkpoints
        wait_for_steps(folder, count, phase=phase)
        if number == signal.SIGKILL:
            driver.kill()  # alone: what it started has to see that for itself
        else:
            # Ctrl-C reaches the group. SIGTERM reaches the driver alone, as from `kill`
            # and from containers: where it also ends Ray, Ray may end the driver first.
            kill = os.killpg if number == signal.SIGINT else os.kill
            kill(driver.pid, number)
        printed, _ = driver.communicate(timeout=120)
        assert driver.returncode not in (0, 1), printed
        assert "Traceback" not in printed
        left_open = ("RUNNING",) in runs(folder, "select status from runs")
        assert left_open == (number == signal.SIGKILL)
        assert not (folder / "experiments").exists()
    status, printed = run_stage(folder, "pipelines.stages.experiment", "digits")
    assert status == 0, printed
    assert_whole(folder, undisturbed=undisturbed)
