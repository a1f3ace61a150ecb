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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from ftml.config import input_files
from pipelines.cluster import storage
from pipelines.common import watched
from pipelines.common.errors import StudyError, run_stage
from pipelines.common.explain import explain
from pipelines.common.files import check_target
from pipelines.common.locks import dataset_lock
from pipelines.common.redaction import without_passwords
from pipelines.params.keys import data_digest, study_key, uncommitted
from pipelines.params.read import Dataset, Plan, Study, read_params
from pipelines.stages.compare import compare_studies
from pipelines.stages.reuse import is_finished, log_missing_runs
from pipelines.stages.run_study import run_study
from pipelines.study import failures, results, workspace
from pipelines.study.folds import DatasetReader, Folds
from pipelines.study.progress import ProgressDisplay
from pipelines.tuning.queue import StudyCoroutine

if TYPE_CHECKING:  # a stage that reuses all its studies imports neither Ray nor MLflow
    from pipelines.tracking.study_run import StudyRun


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
    workspace.clean(prepared, studies)
    reused = [study for study in studies if study not in due]
    logged = log_missing_runs(reused, keys=keys, digest=digest)
    fresh = bool(due) or logged
    compare_studies(prepared, studies, keys=keys, digest=digest, fresh=fresh)


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

    reader = DatasetReader(studies[0].dataset)
    for study in studies:
        with naming(study):
            check_target(study.folder, root=workspace.RESULTS, marks=results.MARKS)
    storage.check()
    importing = threading.Thread(target=import_tracking, daemon=True)
    importing.start()
    with (
        storage.dataset_lock(studies[0].dataset.name),
        connect.ray_cluster(),
        ProgressDisplay() as display,
    ):
        for study in studies:
            resolve_resources(study.section.resources)
        coordinator = driver.start_coordinator()
        # The actor and the processes of the workers start while this process makes the
        # folds and MLflow opens its store, since all of that takes seconds.
        importing.join()
        for study in studies:
            with naming(study):
                reader.folds(study)  # raises before any study starts
        open_run = open_experiment(studies[0].dataset, digest=digest)
        driver.run(
            (
                run_logged_study(
                    study,
                    reader.folds(study),
                    open_run,
                    key=keys[study.name],
                    display=display,
                )
                for study in studies
            ),
            coordinator=coordinator,
            folder=workspace.checkpoint_folder(studies[0].dataset),
        )


def import_tracking() -> None:
    """Import what logs a study and draws its figures. That takes seconds, in which this
    process otherwise only waits for the processes of Ray to start.
    """
    for module in (
        "pipelines.tracking.study_run",  # the first: it configures MLflow
        "mlflow.store.tracking.sqlalchemy_store",
        "matplotlib.figure",
    ):
        import_module(module)


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
    folds: Folds,
    open_run: Callable[..., StudyRun],
    *,
    key: str,
    display: ProgressDisplay,
) -> StudyCoroutine:
    """Open the MLflow run of a study and run the study in it (see `run_study`)."""
    from pipelines.tracking.client import retry_until_available

    opened = partial(open_run, study, key=key)
    with naming(study, key=key), retry_until_available(opened) as run:
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


if __name__ == "__main__":
    run_stage("experiment", main)
