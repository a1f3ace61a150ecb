"""Runs the studies of an experiment in this process, without Ray."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest

from ftml.config import read_config
from ftml.core import family
from ftml.predictor import Predictor
from pipelines.cluster import connect, resources
from pipelines.study.plan import Search
from pipelines.study.record import Record, Trial
from pipelines.tuning import driver
from pipelines.tuning.queue import SearchRequest, StudyCoroutine
from pipelines.tuning.training import TrainingJob, TrialState, validation_scores
from pipelines.tuning.training import test_scores as scores_of_test


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stages train in this process, one trial after the other."""
    fitted: dict[str, Predictor] = {}

    def run(studies: Iterable[StudyCoroutine], **_: object) -> None:
        for study in studies:
            request = next(study)
            while True:
                try:
                    request = study.send(train(request, fitted))
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
    search = request.search
    search.folder.mkdir(parents=True, exist_ok=True)
    record = Record(search.record_path)
    for index, trial in enumerate(search.trials):
        record.start(index, dict(trial.config), trial.fold, trial.share)
        job = TrainingJob(search, request.data(trial.fold), trial, None)
        _train_one(job, index, record, fitted)
        record.end(index)
    return record


def _train_one(
    job: TrainingJob, index: int, record: Record, fitted: dict[str, Predictor]
) -> None:
    """Train a trial, and record the steps that a worker reports."""
    config = _config(job.search, job.assignment.config)
    state = TrialState(index, config)
    step, reported = None, 0
    for (now,) in job.train([state]):
        step = now or step
        if step is None or now is None:
            continue
        if step.n == job.last_step:
            break
        if step.n % job.search.report_every == 0:
            scores = {} if job.is_final_fit else validation_scores(step.model, job)
            record.step(index, step.n, {**step.metrics, **scores}, 0.5)
            reported = step.n
    if step is None:
        return
    if not job.is_final_fit and reported < step.n:
        scores = validation_scores(step.model, job)
        record.step(index, step.n, {**step.metrics, **scores}, 0.5)
    if job.is_final_fit:
        scores = scores_of_test(step.model, job)
        record.step(index, step.n, {**step.metrics, **scores}, 0.25)
        checkpoint = str(job.search.folder / str(index))
        record.checkpoint(index, checkpoint)
        fitted[checkpoint] = Predictor(step.model, config, job.interface)


def _config(search: Search, values: Any) -> Any:
    kind = family(search.family)
    return read_config(kind.Config, {**search.config, **values})
