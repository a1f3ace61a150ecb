"""Reads a finished study back from its folder in `experiments/`.

The folder holds the tables of what the trials and the final fits have reported. What
they were asked to do follows from the params: the configurations from the seed, and the
final fits from what the stored table of runs makes the selections choose. Only the time
of each trial is not stored: the first trial gets the time of all. A metric that was NaN
is left out, since the tables hold NaN where a step has no value.

`restore_outcome` reads the whole study, `restore_search` the search alone, whose record
it writes again if other results of the study are lost.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.common.json_files import json_text
from pipelines.params.read import Study
from pipelines.study.completeness import disagreement
from pipelines.study.decisions import pruning_decisions
from pipelines.study.folds import Folds
from pipelines.study.metrics import RunMetadata, load_metrics, load_run_metadata
from pipelines.study.plan import (
    Assignment,
    Search,
    choose,
    configurations_of,
    on_every_fold,
    plan_final_fits,
    plan_search,
)
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record, Trial
from pipelines.study.results import FITS, TRIALS, Outcome, load_trials, runs_table

NOT_METRICS = {"trial", "left_out", "n", "stopped", "error", "share", "seed"}
"Columns of the tables that are no metrics, beside those of the configuration."

Row = Mapping[str, Any]


class RestoreError(ValueError):
    """The results of a study on disk contradict one another."""


def restore_outcome(
    study: Study, folds: Folds
) -> tuple[Outcome, dict[int, PruningDecision]]:
    """Return the outcome of a finished study, and the pruning decisions of its trials.

    Raises RestoreError if the tables do not give the metrics.json of the folder.
    """
    configs = configurations_of(study)
    runs, metadata = load_trials(study), load_run_metadata(study.folder)
    tried = on_every_fold(configs, folds.tried)
    search = plan_search(study, Path(), tried, storage="")
    choices = choose(study, runs, folds)
    fits = plan_final_fits(study, search, choices, configs).trials
    try:
        of_trials = _rows_of_trials(runs, tried, n_folds=len(folds.tried))
        of_fits = _rows_of_fits(pd.read_parquet(study.folder / FITS), fits)
        outcome = Outcome(
            study,
            runs,
            configs,
            choices,
            fits,
            _record(tried, of_trials, metadata.search_seconds),
            _record(fits, of_fits, metadata.fit_seconds),
        )
        stored = load_metrics(study.folder)
        # As text, in which two NaN are equal.
        agrees = json_text(outcome.metrics()) == json_text(stored)
    except (KeyError, IndexError):
        agrees = False
    if not agrees:
        raise RestoreError(
            f"{study.folder}: trials.parquet and fits.parquet do not give the values "
            f"of metrics.json; remove the folder and run `dvc repro "
            f"experiment@{study.dataset.name}`"
        )
    return outcome, _decisions(of_trials)


def restore_search(search: Search, folder: Path, *, key: str, n_folds: int) -> bool:
    """Write the record of a search from the trials.parquet of an earlier finish of the
    same study; return whether this was possible.

    folder: the results of the study in `experiments/`. n_folds: number of folds that
    each configuration is tried on. Nothing is written if there is a record, if the
    results are of another key, or if the table disagrees with its digest or does not
    follow again from the record.
    """
    try:
        metadata = load_run_metadata(folder)
        if search.record_path.exists() or metadata.key != key:
            return False
        if metadata.files and disagreement(folder, TRIALS, metadata.files):
            return False
        stored = pq.read_table(folder / TRIALS)
    except (OSError, ValueError, KeyError):
        return False
    record = _record_of(search, stored.to_pandas(), metadata, n_folds=n_folds)
    if record is None or not _follows(stored, record, search, n_folds=n_folds):
        return False
    record.path.replace(search.record_path)
    return True


def _record_of(
    search: Search, table: pd.DataFrame, metadata: RunMetadata, *, n_folds: int
) -> Record | None:
    """Return the record of a search, in a file beside the place of its record; None if
    a trial is not in the table of runs. The seconds of all trials together are those of
    the search, an equal part for each.
    """
    try:
        rows = _rows_of_trials(table, search.trials, n_folds=n_folds)
    except KeyError:
        return None
    search.folder.mkdir(parents=True, exist_ok=True)
    path = search.record_path.with_name(".restored")
    path.unlink(missing_ok=True)
    record = Record(path)
    seconds = metadata.search_seconds / len(search.trials)
    for index, (trial, found) in enumerate(zip(search.trials, rows, strict=True)):
        record.start(index, dict(trial.config), trial.fold, trial.share)
        for row in found:
            if row["n"]:
                # Of a step without any number all metrics are kept.
                metrics = _metrics(row) or _metrics(row, with_nan=True)
                record.step(index, row["n"], metrics, seconds)
        record.end(index, error=_error(found[0]))
    return record


def _follows(stored: pa.Table, record: Record, search: Search, *, n_folds: int) -> bool:
    """Return whether the table of runs of a record is the stored one."""
    decisions = pruning_decisions(search, record)
    file = BytesIO()
    runs_table(record, decisions, n_folds=n_folds).to_parquet(file, index=False)
    return bool(pq.read_table(file).equals(stored))


def count_fits(study: Study) -> int:
    """Return how many final fits the table of a study has at least: two of the same
    fold, fraction and seed, for two selections, count as one.
    """
    columns = ["left_out", "share", "seed"]
    table = pd.read_parquet(study.folder / FITS, columns=columns)
    table["left_out"] = table["left_out"].map(tuple)
    return len(table.drop_duplicates())


def _rows_of_trials(
    table: pd.DataFrame, trials: Sequence[Assignment], *, n_folds: int
) -> list[list[Row]]:
    """Return the rows of each trial."""
    found: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
    for row in _rows(table):
        found.setdefault((row["trial"], tuple(row["left_out"])), []).append(row)
    return [found[i // n_folds, each.fold] for i, each in enumerate(trials)]


def _rows(table: pd.DataFrame) -> list[Row]:
    return [
        {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _rows_of_fits(table: pd.DataFrame, fits: Sequence[Assignment]) -> list[list[Row]]:
    """Return the rows of each final fit. The table has the fits in their order; two
    that follow one another may have the same fold, seed and fraction.
    """
    rows = _rows(table)
    found: list[list[Row]] = []
    start = 0
    for fit in fits:
        end = start + 1
        while end < len(rows) and _continues(rows[end - 1], rows[end], fit):
            end += 1
        if start >= len(rows) or not _is_of(rows[start], fit):
            raise KeyError(start)
        found.append(rows[start:end])
        start = end
    if start != len(rows):
        raise KeyError(start)
    return found


def _is_of(row: Row, fit: Assignment) -> bool:
    seed = fit.config["seed"]
    asked = (fit.fold, fit.share, seed)
    return (tuple(row["left_out"]), row["share"], row["seed"]) == asked


def _continues(before: Row, row: Row, fit: Assignment) -> bool:
    """Return whether a row is a later step of the fit of the row before it."""
    last = fit.last_step or 0
    return _is_of(row, fit) and before["n"] < row["n"] <= last


def _record(
    trials: Sequence[Assignment], rows: Sequence[Sequence[Row]], seconds: float
) -> Record:
    """Return a record that has no file."""
    record = Record(Path(os.devnull))
    for index, (trial, of_trial) in enumerate(zip(trials, rows, strict=True)):
        steps = {int(row["n"]): _metrics(row) for row in of_trial}
        record.trials[index] = Trial(
            config=dict(trial.config),
            fold=trial.fold,
            share=trial.share,
            steps={n: metrics for n, metrics in steps.items() if metrics},
            seconds=0.0 if index else seconds,
            error=_error(of_trial[0]),
            ended=True,
        )
    return record


def _metrics(row: Row, *, with_nan: bool = False) -> dict[str, float]:
    """Return the metrics of a row of a table that have a value, or all of them."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in NOT_METRICS
        and not name.startswith("config.")
        and (with_nan or not pd.isna(value))
    }


def _error(row: Row) -> str | None:
    """Return the error of a trial, which all of its rows have."""
    error = row.get("error")
    return error if isinstance(error, str) else None


def _decisions(rows: Sequence[Sequence[Row]]) -> dict[int, PruningDecision]:
    return {
        index: PruningDecision.pruned_at(of_trial[-1]["n"])
        if of_trial[0]["stopped"]
        else PruningDecision()
        for index, of_trial in enumerate(rows)
    }
