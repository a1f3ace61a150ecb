"""Reads a finished study back from its folder in `experiments/`.

The folder holds the tables of what the trials and the final fits have reported. What
they were asked to do follows from the params: the configurations from the seed, and the
final fits from what the stored table of runs makes the selections choose. Only the time
of each trial is not stored: the first trial gets the time of all. A metric that was NaN
is left out, since the tables hold NaN where a step has no value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.params.read import Study
from pipelines.study.folds import Folds
from pipelines.study.metrics import load_metrics, load_run_metadata
from pipelines.study.plan import (
    Assignment,
    choose,
    on_every_fold,
    plan_final_fits,
    plan_search,
    sample_configurations,
)
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record, Trial
from pipelines.study.results import FITS, Outcome, load_trials

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
    configs = sample_configurations(
        study.space,
        count=study.section.trials,
        defaults=study.config.model_dump(mode="json"),
        seed=study.config.seed,
    )
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
        agrees = _text(outcome.metrics()) == _text(load_metrics(study.folder))
    except (KeyError, IndexError):
        agrees = False
    if not agrees:
        raise RestoreError(
            f"{study.folder}: trials.parquet and fits.parquet do not give the values "
            f"of metrics.json; remove the folder and run `dvc repro "
            f"experiment@{study.dataset.name}`"
        )
    return outcome, _decisions(of_trials)


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
        error = of_trial[0].get("error")
        record.trials[index] = Trial(
            config=dict(trial.config),
            fold=trial.fold,
            share=trial.share,
            steps={n: metrics for n, metrics in steps.items() if metrics},
            seconds=0.0 if index else seconds,
            error=error if isinstance(error, str) else None,
            ended=True,
        )
    return record


def _metrics(row: Row) -> dict[str, float]:
    """Return the metrics of a row of a table."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in NOT_METRICS
        and not name.startswith("config.")
        and not pd.isna(value)
    }


def _decisions(rows: Sequence[Sequence[Row]]) -> dict[int, PruningDecision]:
    return {
        index: PruningDecision.pruned_at(of_trial[-1]["n"])
        if of_trial[0]["stopped"]
        else PruningDecision()
        for index, of_trial in enumerate(rows)
    }


def _text(content: Any) -> str:
    """Return a dataclass as JSON, in which two NaN are equal."""
    return json.dumps(asdict(content))
