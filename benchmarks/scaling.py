"""How fast trials go: by workers, and where the driver is the limit.

    python benchmarks/scaling.py                # all of it
    python benchmarks/scaling.py workers 2      # real trials, by two workers
    python benchmarks/scaling.py driver 1000    # fake trials of 0.1 s, as many

A fake trial sleeps and then solves a ridge regression of 20 rows, so that four of them
run at once on any machine and what is measured is the driver: Tune, the record, and
MLflow on its default store. Its memory is printed when a quarter, a half, three
quarters and all of the trials have ended: what it is at a quarter, it should be at all.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from ftml import Splits, Table
from pipelines.params.read import read_params
from pipelines.stages.run_study import run_search
from pipelines.study.plan import on_every_fold, plan_search, sample_configurations
from pipelines.study.progress import ProgressDisplay
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record
from pipelines.tuning.queue import SearchRequest, StudyCoroutine

PARAMS = """
datasets: {{tables: {{toy: {{source: s, task: {task}}}}}}}
experiments: {{toy: {{{family}: {section}}}}}
"""
SECONDS, AT_ONCE = 0.1, 4


def splits(n: int, d: int) -> Splits[Table]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    table = Table(X, X @ rng.normal(size=d) + rng.normal(size=n))
    return Splits(table.rows(np.arange(n // 2)), table.rows(np.arange(n // 2, n)))


def digits() -> Splits[Table]:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    table = Table(X / 16, y.astype(np.int64), classes=tuple("0123456789"))
    return Splits(table.rows(np.arange(1200)), table.rows(np.arange(1200, 1797)))


def after(seconds: float, data: Splits[Table], fold: Any) -> Splits[Table]:
    """Return the data of a fold: a trial asks for it once, at its beginning."""
    time.sleep(seconds)
    return data


def as_study(
    requests: Generator[SearchRequest, Record, object], memory: dict[int, float]
) -> StudyCoroutine:
    """Return a study that consists of one search. It notes the memory of the driver in
    MB, by the number of trials that have ended, after each quarter of them.
    """
    request, process = next(requests), psutil.Process()
    quarter = max(1, len(request.search.trials) // 4)

    def on_trial_update(
        record: Record, decisions: Mapping[int, PruningDecision], index: int
    ) -> None:
        request.on_trial_update(record, decisions, index)
        if record.ended and record.ended % quarter == 0:
            memory.setdefault(record.ended, process.memory_info().rss / 1e6)

    record = yield replace(request, on_trial_update=on_trial_update)
    with suppress(StopIteration):
        requests.send(record)


def search(
    family: str, task: str, section: dict[str, Any], data: Any
) -> dict[str, Any]:
    """Run one study's search in a folder of its own; return what it took."""
    from pipelines.tracking import client as tracking_client
    from pipelines.tracking import study_run
    from pipelines.tuning import driver

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        written = PARAMS.format(family=family, task=task, section=json.dumps(section))
        Path("params.yaml").write_text(written)
        [study] = read_params().experiments["toy"]
        client = tracking_client.open_store()
        experiment = tracking_client.open_experiment(client, study.dataset, digest="d")
        configs = sample_configurations(
            study.space,
            count=study.section.trials,
            defaults=study.config.model_dump(mode="json"),
            seed=0,
        )
        plan = plan_search(
            study,
            Path(".search/toy") / family,
            on_every_fold(configs, [()]),
            storage="",
        )
        with (
            study_run.StudyRun(client, experiment, study, key="k", digest="d") as run,
            ProgressDisplay() as display,
            measured() as found,
        ):
            plan = replace(plan, batch_size=1)
            requests = run_search(plan, data, run.children("trial"), display)
            found["memory"] = {}
            driver.run(
                [as_study(requests, found["memory"])],
                coordinator=driver.start_coordinator(),
                folder=str(Path("checkpoints").resolve()),
            )
        found["mlflow_rows"] = rows(Path("mlflow.db"))
        found["trials"] = len(configs)
        os.chdir("/")
    return found


def rows(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        tables = ("runs", "params", "tags", "metrics", "latest_metrics")
        counts = [f"select count(*) from {name}" for name in tables]
        return sum(connection.execute(count).fetchone()[0] for count in counts)


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Give a dictionary that then holds the seconds, CPU seconds and peak memory of
    this process.
    """
    found: dict[str, Any] = {}
    process, ended = psutil.Process(), threading.Event()
    peak = [0]

    def sample_memory() -> None:
        while not ended.wait(0.5):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=sample_memory, daemon=True)
    watcher.start()
    start, before = time.perf_counter(), process.cpu_times()
    yield found
    spent = process.cpu_times()
    ended.set()
    found["seconds"] = time.perf_counter() - start
    found["driver_cpu"] = spent.user + spent.system - before.user - before.system
    found["driver_mb"] = peak[0] / 1e6


def report(name: str, found: dict[str, Any]) -> None:
    each = found["trials"]
    memory = ", ".join(f"{mb:.0f} at {n}" for n, mb in found["memory"].items())
    each_s = found["mlflow_rows"] / found["seconds"]
    print(
        f"{name}: {found['seconds']:.1f} s, {each / found['seconds']:.1f} trials/s "
        f"({60 * each / found['seconds']:.0f} a minute), driver CPU "
        f"{found['driver_cpu']:.1f} s = {1000 * found['driver_cpu'] / each:.1f} ms a "
        f"trial, {found['driver_mb']:.0f} MB ({memory}), "
        f"MLflow {found['mlflow_rows']} rows = {each_s:.0f} a second; load "
        f"{os.getloadavg()[0]:.1f}",
        flush=True,
    )


@contextmanager
def session(cpus: int) -> Iterator[None]:
    import pipelines.cluster.connect  # noqa: I001, F401  # sets what Ray reads
    import ray

    from pipelines.cluster import ray_internals

    ray_internals.start_fewer_processes()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def workers(cpus: int) -> None:
    """Print how fast real trials go by so many workers."""
    section = {
        "trials": 48,
        "batch_trials": 1,
        "report_every": 50,
        "early_stopping": {"grace": 1000},
        "config": {"n_iterations": 1000, "tolerance": 0.0},
    }
    data = partial(after, 0.0, digits())
    with session(cpus):
        found = search("softmax_regression", "classification", section, data)
    report(f"{cpus} workers", found)


def driver(trials: int) -> None:
    """Print what fake trials cost the driver."""
    data = partial(after, SECONDS, splits(40, 3))
    with session(AT_ONCE):
        section = {"trials": trials, "batch_trials": 1}
        found = search("ridge", "regression", section, data)
    report(f"{trials} trials of {SECONDS} s, {AT_ONCE} at once", found)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"workers": workers, "driver": driver}[sys.argv[1]](int(sys.argv[2]))
    else:  # each in a process of its own: what is measured is the process
        for what in ("workers 1", "workers 2", "workers 1", "workers 2", "driver 1000"):
            subprocess.run([sys.executable, __file__, *what.split()], check=True)
