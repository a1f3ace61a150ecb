"""Runs one study: its search, its final fits, its results on disk and in MLflow."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.tasks import task
from pipelines.cluster import storage
from pipelines.common.replacing import replaced_folder
from pipelines.params.read import Study
from pipelines.study import completeness, failures, restore, results, workspace
from pipelines.study.decisions import pruning_decisions
from pipelines.study.folds import Data, Folds
from pipelines.study.metrics import write_run_metadata
from pipelines.study.plan import (
    Search,
    choose,
    configurations_of,
    on_every_fold,
    plan_final_fits,
    plan_search,
)
from pipelines.study.progress import Progress, ProgressDisplay
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record
from pipelines.study.results import Outcome
from pipelines.tuning.queue import SearchRequest, StudyCoroutine

if TYPE_CHECKING:  # a stage that reuses all its studies imports neither Ray nor MLflow
    from pipelines.tracking.child_runs import ChildRuns
    from pipelines.tracking.study_run import StudyRun


def run_study(
    study: Study, folds: Folds, *, key: str, run: StudyRun, display: ProgressDisplay
) -> StudyCoroutine:
    """Search, fit, test and log one study, resuming from its working directory.

    The coroutine yields the search and then the final fits, and is sent the record of
    each.
    """
    from pipelines.tuning import driver, lost_fits

    start = time.monotonic()
    directory = workspace.working_directory(study, key)
    failures.remove_failure(directory)
    configs = configurations_of(study)
    search = plan_search(
        study,
        directory,
        on_every_fold(configs, folds.tried),
        storage=storage.study_folder(study.dataset.name, study.name, key),
    )
    if restore.restore_search(search, study.folder, key=key, n_folds=len(folds.tried)):
        print(
            f"{study.name}: its search is taken from {study.folder / results.TRIALS}; "
            "only its final fits are trained again",
            file=sys.stderr,
            flush=True,
        )
    tried, decisions = yield from run_search(
        search, folds.splits, run.children("trial"), display
    )
    failures.check_trials(tried)
    runs = results.runs_table(tried, decisions, n_folds=len(folds.tried))
    choices = choose(study, runs, folds)
    fits = plan_final_fits(study, search, choices, configs)
    lost_fits.restart_lost_fits(fits)
    fit_runs = run.children("fit")
    fitted, _ = yield from run_search(fits, folds.splits, fit_runs, display)
    failures.check_final_fits(fitted)
    outcome = Outcome(study, runs, configs, choices, fits.trials, tried, fitted)
    seconds = _write_results(outcome, folds, run, fit_runs, key=key, start=start)
    for record in (tried, fitted):
        driver.delete_checkpoints(record)
    workspace.clear(directory)
    print(f"{results.summary(outcome)}, {seconds:.0f} s", flush=True)


def _write_results(
    outcome: Outcome,
    folds: Folds,
    run: StudyRun,
    fit_runs: ChildRuns,
    *,
    key: str,
    start: float,
) -> float:
    """Write the folder of a study in `experiments/`, log it, and return the seconds
    since `start`.
    """
    from pipelines.tracking.client import retry_until_available
    from pipelines.tuning import driver

    study = outcome.study
    marks = results.MARKS
    with replaced_folder(study.folder, root=workspace.RESULTS, marks=marks) as folder:
        predictor = driver.load_fitted_model(outcome.fitted.trials[0])
        results.write(folder, outcome, predictor)
        write_model_figures(outcome, folds, folder)
        example = predictor.example(folds.splits(folds.tested[0]).test)
        version = retry_until_available(
            partial(run.log_results, outcome, folder, example, fit_runs)
        )
        seconds = time.monotonic() - start
        metadata = outcome.run_metadata(
            key=key,
            seconds=seconds,
            ids=run.metadata(version),
            files=completeness.digests(folder),
        )
        write_run_metadata(folder, metadata)
    return seconds


def write_model_figures(outcome: Outcome, folds: Folds, folder: Path) -> None:
    """Write the figures of the first final fit of each tested fold."""
    from pipelines.tuning import driver

    family = outcome.study.family
    for fold in folds.tested:
        index = outcome.fits_of(fold)[0]
        predictor = driver.load_fitted_model(outcome.fitted.trials[index])
        model, preprocessor = predictor.model, predictor.interface.preprocessor
        splits = folds.splits(fold).transformed(preprocessor)
        figures = dict(task(family.task).figures(model, splits.test))
        if family.figures is not None:
            config = outcome.config(outcome.fits[index])
            figures |= family.figures(config, model, splits.for_final_fit())
        results.write_figures(folder, figures, fold if len(folds.tested) > 1 else ())


def run_search(
    search: Search, data: Data, runs: ChildRuns, display: ProgressDisplay
) -> Generator[SearchRequest, Record, tuple[Record, dict[int, PruningDecision]]]:
    """Request a search, show its progress and log its trials; return its record and
    the pruning decisions on its trials.

    Metrics are logged while the search runs if MLflow's server responds, and completely
    at the end, where the call waits for the server.
    """
    from pipelines.tracking.client import retry_until_available
    from pipelines.tracking.trial_log import TrialLog

    progress = Progress(
        str(search.folder.relative_to(failures.WORKING_ROOT)),
        len(search.trials),
        f"valid_{search.metric}",
        search.mode,
        display,
    )
    log = TrialLog(runs)

    def on_trial_update(
        record: Record, decisions: Mapping[int, PruningDecision], index: int
    ) -> None:
        progress.show(record, index)
        log.update(record, decisions, index)

    try:
        record = yield SearchRequest(search, data, on_trial_update)
    finally:
        progress.clear()
    decisions = pruning_decisions(search, record)
    retry_until_available(
        partial(runs.log, record.trials, decisions, set(record.trials))
    )
    return record, decisions
