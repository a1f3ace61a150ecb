"""Logs the results in `experiments/` and `claims/` to the MLflow store in use.

The results may be of this folder, whose store was lost, or come from a colleague by
`dvc pull`. Runs that are missing are made under the identity of this folder, once;
nothing on disk is changed, so that `dvc repro` still finds all up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ftml.config import nearest
from pipelines.common.formatting import counted, shorten
from pipelines.common.locks import dataset_lock
from pipelines.params.keys import data_digest, study_key
from pipelines.params.read import Plan, Study, read_params
from pipelines.stages import compare
from pipelines.study import completeness, measurements
from pipelines.study.metrics import finished_key, load_metrics
from pipelines.study.restore import RestoreError
from pipelines.study.results import load_trials
from pipelines.tracking.claim_runs import ClaimRuns
from pipelines.tracking.client import open_store
from pipelines.tracking.log_again import Store

NOT_LOGGED = "not logged, "
"Precedes, in the line of a study, the reason why it was not logged."


def log(datasets: Sequence[str], *, force_champion: bool = False) -> Iterator[str]:
    """Log the results of datasets, or of all datasets and claims if none is named;
    yield a line for each study.

    force_champion: whether the best study of each dataset becomes its champion whoever
        is. Raises ValueError for an unknown dataset, and where there are no results.
    """
    plan = read_params()
    for name in datasets:
        if name not in plan.experiments:
            raise ValueError(
                f"unknown experiment {name!r}{nearest(name, plan.experiments)}"
            )
    wanted = [*(datasets or plan.experiments)]
    found = [
        name
        for name in wanted
        if any(study.folder.exists() for study in plan.experiments[name])
    ]
    claims = [] if datasets else measurements.read_measurements()
    if not found and not claims:
        raise ValueError(
            "there are no results in experiments/: run `dvc pull`, which fetches those "
            "of others, or `dvc repro`"
        )
    for name in found:
        yield from _log_dataset(plan, name, force_champion=force_champion)
    if claims:
        yield _log_claims(claims)


def _log_dataset(plan: Plan, name: str, *, force_champion: bool) -> Iterator[str]:
    """Log the studies of a dataset whose results are on disk, and their comparison."""
    with dataset_lock(name):
        yield from _log_studies(plan, name, force_champion=force_champion)


def _log_studies(plan: Plan, name: str, *, force_champion: bool) -> Iterator[str]:
    """Do the work of `_log_dataset`, which holds the lock of the dataset."""
    dataset, studies = plan.datasets[name], plan.experiments[name]
    if not dataset.folder.exists():
        raise ValueError(
            f"{dataset.folder} is missing, by which the results of {name} are checked: "
            f"run `dvc pull {dataset.folder}` or `dvc repro {dataset.stage}@{name}`"
        )
    digest = data_digest(dataset.folder)
    keys = {study.name: study_key(study, digest) for study in studies}
    reasons = {study.name: _reason(study, keys[study.name]) for study in studies}
    finished = [study for study in studies if not reasons[study.name]]
    if finished:
        store = Store(open_store(), dataset, keys=keys, digest=digest)
        for study in finished:
            yield f"{name}/{study.name}: {_log_study(store, study)}"
        if len(finished) == len(studies):
            _log_comparison(store, studies, force_champion=force_champion)
    for study in studies:
        if reason := reasons[study.name]:
            yield (
                f"{name}/{study.name}: {NOT_LOGGED}{reason}: run `dvc repro "
                f"experiment@{name}`"
            )


def _reason(study: Study, key: str) -> str:
    """Return why the results of a study on disk cannot be logged; empty if they can."""
    if not study.folder.exists():
        return "it has no results"
    if problems := completeness.problems(study.folder):
        return f"its results are not as they were written ({shorten(problems, 3)})"
    if finished_key(study.folder) != key:
        return "it has results of other params, data or code"
    return ""


def _log_study(store: Store, study: Study) -> str:
    """Log a study; return what was done."""
    found = store.find(study)
    if found is not None and not found.is_own:
        user = found.run.data.tags.get("mlflow.user", "another folder")
        return f"in the store already, logged by {user}"
    try:
        lacking = store.log_missing(study)
    except RestoreError as error:  # the other studies are logged
        return f"{NOT_LOGGED}{error}"
    if not lacking:
        return "in the store already"
    return f"logged; the store lacked {', '.join(lacking)}"


def _log_comparison(
    store: Store, studies: Sequence[Study], *, force_champion: bool
) -> None:
    """Set the champion, and log the comparison that is on disk, if there is one. For
    studies that others have logged, this is theirs, unless `force_champion` asks.
    """
    are_own = any(map(store.is_own, studies))
    champion = False
    if are_own or force_champion:
        champion = compare.set_champion_alias(store, studies, force=force_champion)
    folder = compare.comparison_folder(store.dataset)
    if are_own and folder.exists():
        tables = (
            [load_metrics(study.folder) for study in studies],
            {study.name: load_trials(study) for study in studies},
        )
        compare.log_comparison(store, studies, folder, *tables, champion=champion)


def _log_claims(found: Sequence[measurements.Measurement]) -> str:
    """Log the measurements of claims that are on disk; return a line."""
    runs = ClaimRuns()
    for measurement in found:
        folder = measurement.folder
        seconds = measurements.load_run_metadata(folder).seconds
        runs.log(measurement, folder, seconds=seconds)
    return f"claims: {counted(len(found), 'measurement')} in the store"
