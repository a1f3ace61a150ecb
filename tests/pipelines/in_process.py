"""Runs the studies of an experiment in this process, without Ray.

Trials are trained one after the other by the function of a Ray worker, and what it
reports is recorded as the driver records it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from ftml.config import read_config
from ftml.core import family
from ftml.predictor import Predictor
from ftml.saving import load
from pipelines.cluster import connect, resources
from pipelines.study.record import Record, Trial
from pipelines.tuning import driver, worker
from pipelines.tuning.queue import SearchRequest, StudyCoroutine
from pipelines.tuning.training import TrainingJob, TrialState


def after_search() -> None:
    """Do nothing after a search; tests have something happen then."""


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stages train in this process, one trial after the other."""
    fitted: dict[str, Predictor] = {}

    def run(studies: Iterable[StudyCoroutine], **_: object) -> None:
        for study in studies:
            request = next(study)
            while True:
                try:
                    record = train(request, fitted)
                    after_search()
                    request = study.send(record)
                except StopIteration:
                    break

    def load_fitted_model(trial: Trial) -> Predictor:
        return fitted[str(trial.checkpoint)]

    monkeypatch.setattr(connect, "ray_cluster", nullcontext)
    monkeypatch.setattr(resources, "resolve_resources", lambda wanted: None)
    monkeypatch.setattr(driver, "start_coordinator", lambda: None)
    monkeypatch.setattr(driver, "run", run)
    monkeypatch.setattr(driver, "load_fitted_model", load_fitted_model)
    monkeypatch.setattr(driver, "delete_checkpoints", lambda record: None)


def train(request: SearchRequest, fitted: dict[str, Predictor]) -> Record:
    """Run the trials of a search that have not ended; return its record. The models of
    final fits are put into `fitted`, by the checkpoints of the record.
    """
    # A batch of several would ask the coordinator which of its trials are pruned.
    search = replace(request.search, batch_size=1)
    search.folder.mkdir(parents=True, exist_ok=True)
    record = Record(search.record_path)
    for index, trial in enumerate(search.trials):
        record.start(index, dict(trial.config), trial.fold, trial.share)
        if not record.trials[index].ended:
            job = TrainingJob(search, request.data(trial.fold), trial, None)
            _train_one(job, index, record, fitted)
            record.end(index)
    return record


def _train_one(
    job: TrainingJob, index: int, record: Record, fitted: dict[str, Predictor]
) -> None:
    """Train a trial as a Ray worker does, and record what it reports."""

    def report(
        result: dict[str, Any], checkpoint: tune.Checkpoint | None = None
    ) -> None:
        for row in result["rows"]:
            if "n" in row:
                record.step(index, row["n"], row["metrics"], row["seconds"])
            else:
                record.end(index, error=row["error"])
        if checkpoint is not None and job.is_final_fit:
            name = str(job.search.folder / str(index))
            fitted[name] = load(Path(checkpoint.path) / "model")
            record.checkpoint(index, name)

    values = {**job.search.config, **job.assignment.config}
    config = read_config(family(job.search.family).Config, values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "report", report)
        worker._run([TrialState(index, config)], job)
