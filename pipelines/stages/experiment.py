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
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.config import input_files
from ftml.tasks import task
from pipelines.cluster import storage
from pipelines.common import watched
from pipelines.common.errors import run_stage
from pipelines.common.files import check_target
from pipelines.common.project import project_folder
from pipelines.common.redaction import without_passwords
from pipelines.common.replacing import replaced_folder
from pipelines.params.keys import data_digest, study_key, uncommitted
from pipelines.params.read import Study, read_params
from pipelines.stages.compare import EXPERIMENTS, compare_studies
from pipelines.study import results, workspace
from pipelines.study.folds import Data, Folds, read_folds
from pipelines.study.metrics import finished_key, write_run_metadata
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
from pipelines.study.results import Outcome
from pipelines.tuning.queue import SearchRequest, StudyCoroutine

if TYPE_CHECKING:  # a stage that reuses all its studies imports neither Ray nor MLflow
    from pipelines.tracking.child_runs import ChildRuns
    from pipelines.tracking.study_run import StudyRun

FLUSH_INTERVAL_S = 5.0
"Metrics of a running search are logged to MLflow at most this often."


def main(dataset: str) -> None:
    """Bring the experiment of a dataset up to date."""
    plan = read_params()
    if dataset not in plan.experiments:
        known = ", ".join(plan.experiments)
        raise ValueError(f"unknown experiment {dataset!r}; known: {known}")
    prepared, studies = plan.datasets[dataset], plan.experiments[dataset]
    files = [p for study in studies for p in input_files(study.config).values()]
    watched.link_studies(dataset, map(str, files))
    digest = data_digest(prepared.folder)
    keys = {study.name: study_key(study, digest) for study in studies}
    due = [study for study in studies if finished_key(study.folder) != keys[study.name]]
    for study in studies:
        if study not in due:
            print(f"{study.name}: reused", flush=True)
    if len(due) < len(studies) and store_is_missing():
        print(
            "MLflow has no run of the studies that are reused, since there is no "
            f"mlflow.db; to log them again: rm -r experiments/{dataset} && "
            f"dvc repro experiment@{dataset}",
            flush=True,
        )
    if due and (changed := uncommitted()):
        print(
            f"not committed: {', '.join(changed[:3])}{' ...' * (len(changed) > 3)}; "
            "`ftml reproduce` finds the runs after these files are committed",
            flush=True,
        )
    if due:
        run_studies(due, keys=keys, digest=digest)
    workspace.remove_unknown_studies(prepared, studies)
    compare_studies(prepared, studies, digest=digest, fresh=bool(due))


def store_is_missing() -> bool:
    """Return whether the store is the default one, and there is none."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    return not uri and not (project_folder() / "mlflow.db").exists()


def run_studies(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> None:
    """Run studies of one dataset on one Ray cluster.

    Several studies run at once where the cluster has capacity for more trials than one
    study has left.
    """
    # Said before the imports, which take seconds as well.
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
    with connect.ray_cluster(), ProgressDisplay() as display:
        for study in studies:
            resolve_resources(study.section.resources)
        coordinator = driver.start_coordinator()
        # MLflow is imported while the actor starts, since both take seconds.
        from pipelines.tracking import client as tracking_client
        from pipelines.tracking import study_run

        client = tracking_client.open_store()
        experiment = tracking_client.open_experiment(
            client, studies[0].dataset, digest=digest
        )
        tracking_client.close_stale_runs(client, experiment)

        def coroutine(study: Study) -> StudyCoroutine:
            key = keys[study.name]
            open_run = partial(study_run.StudyRun, client, experiment, study)
            with (
                naming(study),
                tracking_client.retry_until_available(
                    partial(open_run, key=key, digest=digest)
                ) as run,
            ):
                yield from run_study(
                    study, read_folds(study), key=key, run=run, display=display
                )

        driver.run(
            map(coroutine, studies),
            coordinator=coordinator,
            folder=workspace.checkpoint_folder(studies[0].dataset),
        )


@contextmanager
def naming(study: Study) -> Iterator[None]:
    """Add the name of a study to an error that does not have it: the errors of several
    studies of a stage are printed one after the other.
    """
    try:
        yield
    except ValueError as error:
        if f"{study.name}:" not in str(error):
            error.args = (f"{study.name}: {error}",)
        raise


def run_study(
    study: Study, folds: Folds, *, key: str, run: StudyRun, display: ProgressDisplay
) -> StudyCoroutine:
    """Search, fit, test and log one study, resuming from its working directory.

    The coroutine yields the search and then the final fits, and is sent the record of
    each.
    """
    from pipelines.tuning import driver

    start = time.monotonic()
    directory = workspace.working_directory(study, key)
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
    tried = yield from run_search(search, folds.splits, run.children("trial"), display)
    decisions = pruning_decisions(search, tried)
    runs = results.runs_table(tried, decisions, n_folds=len(folds.tried))
    choices = choose(study, runs, folds)
    fits = plan_final_fits(study, search, choices, configs)
    fit_runs = run.children("fit")
    fitted = yield from run_search(fits, folds.splits, fit_runs, display)
    for trial in fitted.trials.values():
        if trial.error:
            raise ValueError(f"{study.name}: a final fit failed: {trial.error}")
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
            key=key, seconds=seconds, ids=run.metadata(version)
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
        str(search.folder.relative_to(workspace.WORKING_ROOT)),
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
