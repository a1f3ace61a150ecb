"""Whether the results of a study are whole, and what is kept of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ftml
from ftml import Splits, Table
from ftml.saving import save
from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.completeness import digests, problems
from pipelines.study.decisions import pruning_decisions
from pipelines.study.metrics import (
    METRICS,
    RUN_METADATA,
    MlflowIds,
    RunMetadata,
    write_metrics,
    write_run_metadata,
)
from pipelines.study.plan import Search, on_every_fold
from pipelines.study.record import Record
from pipelines.study.restore import restore_search
from pipelines.study.results import BEST, FITS, MODEL, TRIALS, runs_table
from tests.pipelines.metrics import study_metrics

METADATA = RunMetadata(
    key="k",
    seconds=2.5,
    search_seconds=1.0,
    fit_seconds=0.5,
    mlflow=MlflowIds(experiment="7", run="0123abc", model="toy", model_version="1"),
)


def plan(folder: Path) -> Search:
    """Return a search of four configurations on two folds with a rung at step 1."""
    configs = [{"alpha": a, "hidden": [8, 8]} for a in (0.1, 0.2, 0.3, 0.4)]
    return Search(
        folder=folder / "search",
        family="ridge",
        config={},
        trials=on_every_fold(configs, [("a",), ("b",)]),
        metric="mse",
        mode="min",
        resources=Resources(),
        early_stopping=EarlyStopping(grace=1, reduction_factor=2),
    )


def searched(search: Search) -> Record:
    """Return the record of the search: trials that are pruned, diverged and failed,
    and reports beyond a rung that is not passed.
    """
    search.folder.mkdir(parents=True)
    record = Record(search.record_path)
    for index, trial in enumerate(search.trials):
        record.start(index, dict(trial.config), trial.fold)
        if index == 3:
            record.end(index, error="ValueError: singular")
            continue
        for n in (1, 2):
            value = float("nan") if index == 5 else 1.0 + index / n
            metrics = {"train_loss": value, "valid_mse": value}
            record.step(index, n, metrics | ({"extra": 1} if n == 2 else {}), 0.125)
        record.end(index, error="FloatingPointError: diverged" if index == 5 else None)
    return record


def written(tmp_path: Path, *, listed: bool = True) -> Path:
    """Return a folder with the results of the study."""
    folder = tmp_path / "experiments/toy/ridge"
    (folder / "figures").mkdir(parents=True)
    search = plan(tmp_path / "former")
    record = searched(search)
    table = runs_table(record, pruning_decisions(search, record), n_folds=2)
    assert 0 < table["stopped"].sum() < len(table)
    table.to_parquet(folder / TRIALS, index=False)
    table.to_parquet(folder / FITS, index=False)
    write_metrics(folder, study_metrics("ridge"))
    (folder / BEST).write_text("[{config: {}}]")
    (folder / "figures/a.png").write_bytes(b"png")
    data = Table(np.eye(3), np.arange(3.0))
    config = ftml.family("ridge").Config()
    save(folder / MODEL, ftml.fit(config, Splits(data, data)).model, config)
    files = digests(folder) if listed else {}
    write_run_metadata(folder, replace(METADATA, files=files))
    return folder


@pytest.mark.parametrize("listed", [True, False])
def test_results_that_are_as_they_were_written_are_whole(
    tmp_path: Path, listed: bool
) -> None:
    folder = written(tmp_path, listed=listed)
    assert problems(folder) == []
    (folder / "notes of mine.txt").write_text("not ours")
    assert problems(folder) == []


FILES = (
    METRICS,
    BEST,
    TRIALS,
    FITS,
    f"{MODEL}/tree.json",
    f"{MODEL}/arrays.safetensors",
)


@pytest.mark.parametrize("name", [*FILES, "figures/a.png", RUN_METADATA])
def test_a_file_that_is_missing_or_differs_is_named(tmp_path: Path, name: str) -> None:
    path = written(tmp_path) / name
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    (problem,) = problems(tmp_path / "experiments/toy/ridge")
    assert problem.startswith(
        f"{name} is damaged (" if name == RUN_METADATA else f"{name} has changed"
    )
    path.unlink()
    assert problems(tmp_path / "experiments/toy/ridge") == [f"{name} is missing"]


@pytest.mark.parametrize("name", FILES)
def test_results_without_digests_are_whole_if_all_that_is_needed_can_be_read(
    tmp_path: Path, name: str
) -> None:
    path = written(tmp_path, listed=False) / name
    folder = tmp_path / "experiments/toy/ridge"
    path.write_bytes(path.read_bytes()[:9])
    named = name.split("/")[0]
    assert problems(folder) == [f"{named} is damaged"]
    path.unlink()
    (problem,) = problems(folder)
    assert problem.startswith(f"{named} is ")


@pytest.mark.parametrize("listed", [True, False])
def test_the_search_is_restored_from_the_table_of_its_trials(
    tmp_path: Path, listed: bool
) -> None:
    folder = written(tmp_path, listed=listed)
    search = plan(tmp_path / "again")
    assert restore_search(search, folder, key="k", n_folds=2)
    record = Record(search.record_path)
    assert record.complete(len(search.trials))
    assert record.seconds == pytest.approx(METADATA.search_seconds * 7 / 8)
    table = runs_table(record, pruning_decisions(search, record), n_folds=2)
    table.to_parquet(tmp_path / "table", index=False)
    assert (tmp_path / "table").read_bytes() == (folder / TRIALS).read_bytes()
    assert [path.name for path in search.folder.iterdir()] == ["record.jsonl"]
    assert not restore_search(search, folder, key="k", n_folds=2), "there is a record"


def no_key(folder: Path) -> None:
    (folder / RUN_METADATA).unlink()


def another_key(folder: Path) -> None:
    write_run_metadata(folder, replace(METADATA, key="other"))


def a_changed_table(folder: Path) -> None:
    table = pd.read_parquet(folder / TRIALS)
    table.to_parquet(folder / TRIALS, index=False, compression="gzip")


def rows_of_another_search(folder: Path) -> None:
    table = pd.read_parquet(folder / TRIALS)
    table[table["trial"] > 0].to_parquet(folder / TRIALS, index=False)
    write_run_metadata(folder, METADATA)


def other_pruning(folder: Path) -> None:
    table = pd.read_parquet(folder / TRIALS)
    table.assign(stopped=False).to_parquet(folder / TRIALS, index=False)
    write_run_metadata(folder, METADATA)


@pytest.mark.parametrize(
    "change",
    [no_key, another_key, a_changed_table, rows_of_another_search, other_pruning],
)
def test_a_search_is_not_restored_from_what_is_not_its_own(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = written(tmp_path)
    change(folder)
    search = plan(tmp_path / "again")
    assert not restore_search(search, folder, key="k", n_folds=2)
    assert not search.record_path.exists()
