"""What a trial costs beyond its training, and what training trials in batches saves.

    python benchmarks/tune.py

Writes benchmarks/tune.md. Seconds of one machine in one run: look at the shares.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes, load_digits

from ftml import Splits, Table, family
from ftml.config import search_space
from pipelines.cluster import connect
from pipelines.params.read import read_params
from pipelines.params.study import Resources
from pipelines.study.decisions import pruning_decisions
from pipelines.study.plan import (
    Search,
    on_every_fold,
    sample_configurations,
)
from pipelines.study.record import Record
from pipelines.tracking import client as tracking_client
from pipelines.tracking import study_run
from pipelines.tuning import driver
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, TrialUpdateCallback

PARAMS = """
datasets: {tables: {diabetes: {source: "sklearn:diabetes", task: regression}}}
experiments: {diabetes: {ridge: {trials: 2}}}
"""


def search(
    family_name: str, trials: int, folder: Path, *, batch_size: int = 1
) -> Search:
    """Return a search over a family's own space."""
    Config, is_ridge = family(family_name).Config, family_name == "ridge"
    configs = sample_configurations(
        search_space(Config),
        count=trials,
        defaults=Config().model_dump(mode="json"),
        seed=0,
    )
    return Search(
        folder=folder,
        family=family_name,
        config={},
        trials=on_every_fold(configs, ((),)),
        metric="mse" if is_ridge else "log_loss",
        mode="min",
        resources=Resources(),
        report_every=1 if is_ridge else 10,
        batch_size=batch_size,
    )


def unused(folder: Path) -> Path:
    return folder / f"search-{time.time_ns()}"


def measure(trials: int, data: Splits[Table], folder: Path) -> dict[str, float]:
    """Return the seconds of a search with its MLflow runs, and of their parts."""
    plan = search("ridge", trials, folder / f"search-{trials}")
    times: list[float] = []
    start = time.perf_counter()

    def on_trial_update(*_: object) -> None:
        times.append(time.perf_counter() - start)

    (record,) = searched([plan], data, on_trial_update=on_trial_update)
    searching = time.perf_counter() - start
    client = tracking_client.open_store()
    dataset = read_params().datasets["diabetes"]
    experiment = tracking_client.open_experiment(client, dataset, digest="benchmark")
    study = read_params().experiments["diabetes"][0]
    opened = time.perf_counter()
    with study_run.StudyRun(
        client, experiment, study, key=str(trials), digest="benchmark"
    ) as log:
        decisions = pruning_decisions(plan, record)
        log.children("trial").log(record.trials, decisions, set(record.trials))
    logged = time.perf_counter() - opened
    return {
        "until the first trial runs": times[0],
        "all trials": times[-1] - times[0],
        "Tune closing": searching - times[-1],
        "MLflow": logged,
        "training itself": sum(trial.seconds for trial in record.trials.values()),
        "total": searching + logged,
    }


def searched(
    plans: Sequence[Search],
    data: Splits[Table],
    *,
    on_trial_update: TrialUpdateCallback,
) -> list[Record]:
    """Return the records of searches that one run of Tune works through."""
    records: dict[str, Record] = {}

    def study(plan: Search) -> StudyCoroutine:
        records[str(plan.folder)] = yield SearchRequest(
            plan, lambda fold: data, on_trial_update
        )

    driver.run(
        map(study, plans),
        coordinator=driver.start_coordinator(),
        folder=str(plans[0].folder.with_name("checkpoints")),
    )
    return [records[str(plan.folder)] for plan in plans]


def in_batches(
    family_name: str, trials: int, size: int, folder: Path
) -> dict[str, float]:
    """Return the seconds and the best trial of a search in trial batches of a size."""
    plan = search(family_name, trials, unused(folder), batch_size=size)
    load = load_diabetes if family_name == "ridge" else load_digits
    data = halves(*load(return_X_y=True))
    times: list[float] = []
    start = time.perf_counter()
    (record,) = searched(
        [plan],
        data,
        on_trial_update=lambda *_: times.append(time.perf_counter() - start),
    )
    lowest = {
        index: min(step[f"valid_{plan.metric}"] for step in trial.steps.values())
        for index, trial in record.trials.items()
    }
    best = min(lowest, key=lambda index: (lowest[index], index))
    return {"total": times[-1], "after the start": times[-1] - times[0], "best": best}


def studies(count: int, data: Splits[Table], folder: Path) -> list[str]:
    """Return the lines on studies of 8 trials in one run of Tune, and in one each."""
    seconds: dict[str, list[float]] = {"one run": [], "a run each": []}
    for _ in range(3):
        for way, found in seconds.items():
            plans = [search("ridge", 8, unused(folder)) for _ in range(count)]
            size = count if way == "one run" else 1
            start = time.perf_counter()
            for first in range(0, count, size):
                several = plans[first : first + size]
                searched(several, data, on_trial_update=lambda *_: None)
            found.append(time.perf_counter() - start)
    return [
        "## Studies",
        "",
        f"{count} searches of 8 trials; median of three, alternating.",
        "",
        "| | s |",
        "|---|---|",
        *(f"| {way} | {statistics.median(s):.1f} |" for way, s in seconds.items()),
        "",
    ]


def halves(X: np.ndarray, y: np.ndarray) -> Splits[Table]:
    """Return three quarters of the rows to train on, the others to validate."""
    order = np.random.default_rng(0).permutation(len(y))
    classes = tuple(map(str, np.unique(y))) if y.dtype.kind == "i" else ()
    table = Table(X[order], y[order], classes=classes)
    cut = 3 * len(y) // 4
    return Splits(table.rows(np.arange(cut)), table.rows(np.arange(cut, len(y))))


def table_of_batches(folder: Path) -> list[str]:
    """Return the table of trial batches; the sizes alternate three times."""
    lines = [
        "## Trial batches",
        "",
        "Searches without early stopping, one worker per core; median of three, "
        "alternating. The start is",
        "that of Tune, until the first trial runs.",
        "",
        "| search | `batch_trials` | s | trials per minute | s after the start | "
        "best trial |",
        "|---|---|---|---|---|---|",
    ]
    for name, trials in (("ridge", 64), ("ridge", 512), ("softmax_regression", 64)):
        found = [
            {size: in_batches(name, trials, size, folder) for size in (1, 16, 64)}
            for _ in range(3)
        ]
        for size in (1, 16, 64):
            total, after = (
                statistics.median(each[size][part] for each in found)
                for part in ("total", "after the start")
            )
            best = {int(each[size]["best"]) for each in found}
            lines.append(
                f"| {name}, {trials} trials | {size} | {total:.1f} "
                f"| {60 * trials / total:.0f} | {after:.2f} "
                f"| {', '.join(map(str, best))} |"
            )
    return lines


def main() -> None:
    """Measure 8 and 32 trials, and trial batches, and write the tables."""
    data = halves(*load_diabetes(return_X_y=True))
    target = Path(__file__).with_suffix(".md").resolve()
    with tempfile.TemporaryDirectory() as place, connect.ray_cluster():
        os.chdir(place)
        Path("params.yaml").write_text(PARAMS)
        tracking_client.open_store()
        measure(2, data, Path(place))  # workers warm, database migrated
        found = {n: measure(n, data, Path(place)) for n in (8, 32)}
        several = studies(5, data, Path(place))
        batches = table_of_batches(Path(place))
    lines = [
        "# The overhead of a trial",
        "",
        f"Ridge on diabetes, {os.cpu_count()} cores, Ray up, seconds "
        "(`python benchmarks/tune.py`).",
        "",
        "| | " + " | ".join(f"{n} trials" for n in found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for part in found[8]:
        values = " | ".join(f"{found[n][part]:.2f}" for n in found)
        lines.append(f"| {part} | {values} |")
    lines += ["", *several, *batches]
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())


if __name__ == "__main__":
    main()
