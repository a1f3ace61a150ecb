"""The stage `experiment` of dvc.yaml: every study of one dataset.

Each study is searched, its chosen configurations are fitted again, tested and logged to
MLflow. A study whose key has not changed is reused. While a study runs, its files are
in its working directory (`pipelines.study.workspace`), and rerunning the stage after a
crash resumes it from there; its folder in `experiments/` is written at the end, as a
whole. Only this process writes to MLflow. When MLflow's server does not respond, the
search continues, and its metrics are logged when the server is available again, at the
latest at the end of the search.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.config import input_files
from ftml.tasks import task
from pipelines.cluster import storage
from pipelines.common import watched
from pipelines.common.errors import StudyError, run_stage
from pipelines.common.explain import explain
from pipelines.common.files import check_target
from pipelines.common.formatting import shorten
from pipelines.common.locks import dataset_lock
from pipelines.common.redaction import without_passwords
from pipelines.common.replacing import replaced_folder
from pipelines.params.keys import data_digest, study_key, uncommitted
from pipelines.params.read import Dataset, Plan, Study, read_params
from pipelines.stages.compare import EXPERIMENTS, compare_studies
from pipelines.study import completeness, failures, results, workspace
from pipelines.study.folds import Data, Folds, read_folds
from pipelines.study.metrics import (
    finished_key,
    load_run_metadata,
    write_run_metadata,
)
from pipelines.study.plan import (
    Search,
    choose,
    on_every_fold,
    plan_final_fits,
    plan_search,
    pruning_decisions,
    sample_configurations,
)
from pipelines.study.progress import Progress, ProgressDisplay
from pipelines.study.record import Record
from pipelines.study.restore import count_fits
from pipelines.study.results import Outcome
from pipelines.tracking import local_store
from pipelines.tuning.queue import SearchRequest, StudyCoroutine

if TYPE_CHECKING:  # a stage that reuses all its studies imports neither Ray nor MLflow
    from pipelines.tracking.child_runs import ChildRuns
    from pipelines.tracking.log_again import Store
    from pipelines.tracking.study_run import StudyRun

FLUSH_INTERVAL_S = 5.0
"Metrics of a running search are logged to MLflow at most this often."


def main(dataset: str) -> None:
    """Bring the experiment of a dataset up to date."""
    plan = read_params()
    if dataset not in plan.experiments:
        known = ", ".join(plan.experiments)
        raise ValueError(f"unknown experiment {dataset!r}; known: {known}")
    with dataset_lock(dataset):
        update_experiment(plan, dataset)


def update_experiment(plan: Plan, dataset: str) -> None:
    """Do the work of `main`, which holds the lock of the dataset."""
    prepared, studies = plan.datasets[dataset], plan.experiments[dataset]
    files = [p for study in studies for p in input_files(study.config).values()]
    watched.link_studies(dataset, map(str, files))
    digest = data_digest(prepared.folder)
    keys = {study.name: study_key(study, digest) for study in studies}
    due = [study for study in studies if not is_finished(study, keys[study.name])]
    for study in studies:
        if study not in due:
            print(f"{study.name}: reused", flush=True)
    if due and (changed := uncommitted()):
        print(
            f"not committed: {', '.join(changed[:3])}{' ...' * (len(changed) > 3)}; "
            "`ftml reproduce` finds the runs after these files are committed",
            flush=True,
        )
    if due:
        run_studies(due, keys=keys, digest=digest)
    workspace.remove_unknown_studies(prepared, studies)
    reused = [study for study in studies if study not in due]
    logged = log_missing_runs(reused, keys=keys, digest=digest)
    fresh = bool(due) or logged
    compare_studies(prepared, studies, keys=keys, digest=digest, fresh=fresh)


def is_finished(study: Study, key: str) -> bool:
    """Return whether a study has whole results with this key; name the files that are
    missing or have changed.
    """
    problems = completeness.problems(study.folder) if study.folder.exists() else []
    if problems:
        print(
            f"{study.name}: {study.folder} is not as it was written: "
            f"{shorten(problems, 3)}; the study is made again",
            file=sys.stderr,
            flush=True,
        )
    return not problems and finished_key(study.folder) == key


def log_missing_runs(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> bool:
    """Log what the store has lost of studies that are reused, from their results on
    disk, with one line for each study; return whether anything was logged.

    A local store is asked without MLflow first, whose import takes seconds. A server
    that does not respond is not waited for.
    """
    wanted = [
        study
        for study in studies
        if not local_store.has_study(keys[study.name], n_fits=count_fits(study))
    ]
    if not wanted:
        return False
    from pipelines.tracking.client import ServerUnavailableError, open_store
    from pipelines.tracking.log_again import Store

    try:
        client = open_store()
    except ServerUnavailableError as error:
        print(f"{error}; whether it has the reused studies is unknown", file=sys.stderr)
        return False
    store = Store(client, wanted[0].dataset, keys=keys, digest=digest)
    logged = False
    for study in wanted:
        if lacking := store.log_missing(study):
            logged = True
            print(
                f"{study.name}: logged again, since MLflow lacked {', '.join(lacking)}",
                flush=True,
            )
            update_ids(study, store)
    return logged


def update_ids(study: Study, store: Store) -> None:
    """Write the ids that a study has in the store into its run.json."""
    metadata, ids = load_run_metadata(study.folder), store.ids(study)
    if ids is not None and ids != metadata.mlflow:
        write_run_metadata(study.folder, replace(metadata, mlflow=ids))


def run_studies(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> None:
    """Run studies of one dataset on one Ray cluster.

    Several studies run at once where the cluster has capacity for more trials than one
    study has left.
    """
    # Printed before the imports, which take seconds as well.
    address = os.environ.get("RAY_ADDRESS")
    starting = f"connecting to Ray at {address}" if address else "starting Ray"
    print(without_passwords(starting), file=sys.stderr, flush=True)
    from pipelines.cluster import connect
    from pipelines.cluster.resources import resolve_resources
    from pipelines.tuning import driver

    for study in studies:
        with naming(study):
            read_folds(study)  # raises before any study starts
            check_target(study.folder, root=EXPERIMENTS, marks=results.MARKS)
    storage.check()
    with (
        storage.dataset_lock(studies[0].dataset.name),
        connect.ray_cluster(),
        ProgressDisplay() as display,
    ):
        for study in studies:
            resolve_resources(study.section.resources)
        coordinator = driver.start_coordinator()
        # MLflow is imported while the actor starts, since both take seconds.
        open_run = open_experiment(studies[0].dataset, digest=digest)
        driver.run(
            (
                run_logged_study(study, open_run, key=keys[study.name], display=display)
                for study in studies
            ),
            coordinator=coordinator,
            folder=workspace.checkpoint_folder(studies[0].dataset),
        )


def open_experiment(dataset: Dataset, *, digest: str) -> Callable[..., StudyRun]:
    """Return the function that opens the run of a study in the MLflow experiment of the
    dataset, given the study and its key. Stale runs of the experiment are closed.
    """
    from pipelines.tracking import client as tracking
    from pipelines.tracking.study_run import StudyRun

    client = tracking.open_store()
    experiment = tracking.retry_until_available(
        partial(tracking.open_experiment, client, dataset, digest=digest)
    )
    tracking.close_stale_runs(client, experiment)
    return partial(StudyRun, client, experiment, digest=digest)


def run_logged_study(
    study: Study,
    open_run: Callable[..., StudyRun],
    *,
    key: str,
    display: ProgressDisplay,
) -> StudyCoroutine:
    """Open the MLflow run of a study and run the study in it (see `run_study`)."""
    from pipelines.tracking.client import retry_until_available

    opened = partial(open_run, study, key=key)
    with naming(study, key=key), retry_until_available(opened) as run:
        folds = read_folds(study)
        yield from run_study(study, folds, key=key, run=run, display=display)


@contextmanager
def naming(study: Study, *, key: str = "") -> Iterator[None]:
    """Raise StudyError, which names the study, for any error: the errors of several
    studies of a stage are printed one after the other. The error of a study that has
    started, and so has a key, is written to its working directory.
    """
    try:
        yield
    except Exception as error:
        text = explain(error)
        if not text.startswith(f"{study.name}: "):
            text = f"{study.name}: {text}"
        if key:
            with suppress(OSError):  # such as a full disk, which the error says
                directory = workspace.working_directory(study, key)
                failures.write_failure(directory, text)
        raise StudyError(text) from error


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
    configs = sample_configurations(
        study.space,
        count=study.section.trials,
        defaults=study.config.model_dump(mode="json"),
        seed=study.config.seed,
    )
    search = plan_search(
        study,
        directory,
        on_every_fold(configs, folds.tried),
        storage=storage.study_folder(study.dataset.name, study.name, key),
    )
    if completeness.restore_search(
        search, study.folder, key=key, n_folds=len(folds.tried)
    ):
        print(
            f"{study.name}: its search is taken from {study.folder / results.TRIALS}; "
            "only its final fits are trained again",
            file=sys.stderr,
            flush=True,
        )
    tried = yield from run_search(search, folds.splits, run.children("trial"), display)
    failures.check_trials(tried)
    decisions = pruning_decisions(search, tried)
    runs = results.runs_table(tried, decisions, n_folds=len(folds.tried))
    choices = choose(study, runs, folds)
    fits = plan_final_fits(study, search, choices, configs)
    lost_fits.restart_lost_fits(fits)
    fit_runs = run.children("fit")
    fitted = yield from run_search(fits, folds.splits, fit_runs, display)
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
    with replaced_folder(study.folder, root=EXPERIMENTS, marks=marks) as folder:
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
) -> Generator[SearchRequest, Record, Record]:
    """Request a search, show its progress and log its trials; return its record.

    Metrics are logged while the search runs if MLflow's server responds, and completely
    at the end, where the call waits for the server.
    """
    from pipelines.tracking.client import retry_until_available, try_call

    progress = Progress(
        str(search.folder.relative_to(failures.WORKING_ROOT)),
        len(search.trials),
        f"valid_{search.metric}",
        search.mode,
        display,
    )
    changed: set[int] = set()
    flushed = time.monotonic()

    def on_trial_update(record: Record, index: int) -> None:
        nonlocal flushed
        changed.add(index)
        progress.show(record)
        if time.monotonic() - flushed >= FLUSH_INTERVAL_S:
            decisions = pruning_decisions(search, record)
            if try_call(partial(runs.log, record.trials, decisions, changed)):
                changed.clear()
            flushed = time.monotonic()

    try:
        record = yield SearchRequest(search, data, on_trial_update)
    finally:
        progress.clear()
    decisions = pruning_decisions(search, record)
    retry_until_available(
        partial(runs.log, record.trials, decisions, set(record.trials))
    )
    return record


if __name__ == "__main__":
    run_stage("experiment", main)
