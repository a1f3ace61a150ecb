"""What a trial costs beyond its training: searches of a closed form, with Ray up.

    python benchmarks/tune.py

Writes benchmarks/tune.md. Seconds of one machine in one run: look at the shares.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from ftml import Splits, Table, family
from ftml.config import search_space
from pipelines import store, tracking, tune
from pipelines.params import read_params
from pipelines.record import Record
from pipelines.search import (
    Search,
    draw_configurations,
    on_every_fold,
    search_limits,
)

PARAMS = """
datasets: {tables: {diabetes: {source: "sklearn:diabetes", task: regression}}}
experiments: {diabetes: {ridge: {trials: 2}}}
"""


def measure(trials: int, data: Splits[Table], folder: Path) -> dict[str, float]:
    """Return the seconds of a search with its MLflow runs, and of their parts."""
    Config = family("ridge").Config
    configs = draw_configurations(
        search_space(Config),
        count=trials,
        defaults=Config().model_dump(mode="json"),
        seed=0,
    )
    plan = Search(
        folder=folder / f"search-{trials}",
        family="ridge",
        config={},
        trials=on_every_fold(configs, ((),)),
        metric="mse",
        mode="min",
        resources=read_params().experiments["diabetes"][0].block.resources,
    )
    times: list[float] = []
    start = time.perf_counter()

    def watch(record: Record, index: int) -> None:
        times.append(time.perf_counter() - start)

    record = tune.run(plan, lambda fold: data, watch=watch)
    searched = time.perf_counter() - start
    client = store.open_store()
    dataset = read_params().datasets["diabetes"]
    experiment = store.open_experiment(client, dataset, digest="benchmark")
    study = read_params().experiments["diabetes"][0]
    opened = time.perf_counter()
    with tracking.StudyLog(
        client, experiment, study, key=str(trials), digest="benchmark"
    ) as log:
        reach = search_limits(plan, record)
        log.children("trial").log(record.trials, reach, set(record.trials))
    logged = time.perf_counter() - opened
    return {
        "until the first trial runs": times[0],
        "all trials": times[-1] - times[0],
        "Tune closing": searched - times[-1],
        "MLflow": logged,
        "training itself": sum(trial.seconds for trial in record.trials.values()),
        "total": searched + logged,
    }


def main() -> None:
    """Measure 8 and 32 trials and write the table."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    table = Table(X, y)
    data = Splits(table.rows(np.arange(300)), table.rows(np.arange(300, 442)))
    target = Path(__file__).with_suffix(".md").resolve()
    with tempfile.TemporaryDirectory() as place, tune.cluster():
        os.chdir(place)
        Path("params.yaml").write_text(PARAMS)
        store.open_store()
        measure(2, data, Path(place))  # workers warm, database migrated
        found = {n: measure(n, data, Path(place)) for n in (8, 32)}
    lines = [
        "# What a trial costs beyond its training",
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
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())


if __name__ == "__main__":
    main()
