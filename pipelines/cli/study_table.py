"""The studies of a dataset, compared by the metrics that MLflow has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from rich.table import Table

from ftml.config import nearest
from ftml.tasks import task
from pipelines.cli.records import experiment_of, open_existing_store
from pipelines.cli.terminal import table
from pipelines.common import formatting
from pipelines.common.formatting import counted
from pipelines.common.redaction import without_passwords
from pipelines.tracking import client as tracking_client
from pipelines.tracking import views
from pipelines.tracking.local_store import store_address, unlogged
from pipelines.tracking.ownership import FOLDER, is_own


@dataclass(frozen=True)
class StudyRow:
    """The results of one study: a row of the table."""

    study: str
    family: str
    test: float
    half: float | None
    "half the width of the 95 % t interval over seeds; None for one seed"

    valid: float | None
    seeds: int
    seconds: float
    champion: bool
    user: str


def read(
    dataset: str, *, metric: str | None = None, data: str | None = None
) -> list[Table | str]:
    """Return what `ftml compare` prints of a dataset: a table and lines below it.

    data: the beginning of the digest of prepared data; see `digest_of` for the default.
    Raises ValueError when the dataset has no finished study, and for an unknown metric
    or digest.
    """
    client = open_existing_store()
    experiment = experiment_of(client, dataset)
    runs = finished_studies(client, experiment.experiment_id)
    if not runs:
        raise ValueError(f"no study of {dataset} has finished" + unlogged())
    if tracking_client.TASK not in experiment.tags:
        raise ValueError(
            f"the experiment {dataset} has no tag for its task: an earlier version "
            f"created it; rerun experiment@{dataset}"
        )
    name = metric or experiment.tags[tracking_client.METRIC]
    modes = task(experiment.tags[tracking_client.TASK]).METRICS
    if name not in modes:
        raise ValueError(f"unknown metric {name!r}{nearest(name, modes)}")
    best = champion_run(client, dataset)
    digest = digest_of(runs, best, data)
    shown = newest([run for run in runs if data_of(run) == digest])
    several = len({run.data.tags.get(FOLDER) for run in shown}) > 1
    identity = best.info.run_id if best else None
    found = [
        study_row(run, name, identity)
        for run in shown
        if f"test_{name}" in _metrics(run)
    ]
    sign = 1.0 if modes[name] == "min" else -1.0
    found.sort(key=lambda each: sign * each.test)
    less = "less" if modes[name] == "min" else "more"
    about = "the champion is the best in validation" if best else "there is no champion"
    return [
        table_of(found, name, users=several),
        f"{less} is better; intervals are 95 % t intervals over seeds; {about}",
        whose(shown),
        *on_other_data(runs, digest, best),
    ]


def finished_studies(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Return the runs of the finished studies of an experiment, by the time of their
    start.

    A study that params.yaml no longer contains is left out: the last comparison of its
    folder has tagged its run as not current.
    """
    condition = "tags.`ftml.role` = 'study' and attributes.status = 'FINISHED'"
    runs = tracking_client.search_runs(client, experiment_id, condition)
    known = [run for run in runs if run.data.tags.get("ftml.current") != "false"]
    return sorted(known, key=lambda run: run.info.start_time)


def data_of(run: Run) -> str:
    """Return the digest of the prepared data of a study."""
    return str(run.data.tags.get("ftml.data", ""))


def digest_of(runs: Sequence[Run], best: Run | None, data: str | None) -> str:
    """Return the digest of the data whose studies are shown: those that `data` begins,
    or else those of the newest study of this folder, of the champion, or of the newest
    study of anyone.
    """
    known = list(dict.fromkeys(data_of(run) for run in runs))
    if data is not None:
        found = [digest for digest in known if digest.startswith(data)]
        if len(found) != 1:
            listed = ", ".join(digest[:8] for digest in known)
            raise ValueError(f"--data: expected one of {listed}, got {data!r}")
        return found[0]
    if mine := [run for run in runs if is_own(run)]:
        return data_of(mine[-1])
    return data_of(best) if best and data_of(best) in known else known[-1]


def newest(runs: Sequence[Run]) -> list[Run]:
    """Return the last run of each study of each folder. Of runs with the same key,
    whose results are the same, that of this folder is returned, or else the last one.
    """
    by_folder = {
        (run.data.tags["ftml.study"], run.data.tags.get(FOLDER)): run for run in runs
    }
    by_key = {
        (run.data.tags["ftml.study"], run.data.tags.get("ftml.key", run.info.run_id)): (
            run
        )
        for run in sorted(by_folder.values(), key=is_own)
    }
    return list(by_key.values())


def whose(runs: Sequence[Run]) -> str:
    """Return which folders have logged these runs, and to which store, as a line."""
    others = [run for run in runs if not is_own(run)]
    users = sorted({run.data.tags.get("mlflow.user", "unknown") for run in others})
    n_folders = len({run.data.tags.get(FOLDER) for run in others})
    parts = ["this folder"] * (len(others) < len(runs))
    if others:
        parts.append(f"{counted(n_folders, 'other folder')} ({', '.join(users)})")
    store = without_passwords(store_address())
    return f"runs of {' and '.join(parts)} in the store {store}"


def on_other_data(runs: Sequence[Run], digest: str, best: Run | None) -> list[str]:
    """Return a line for each other data that studies of this dataset have been run on:
    their number, by whom, and the option that shows them.
    """
    lines = []
    for other in dict.fromkeys(data_of(run) for run in runs):
        if other == digest:
            continue
        found = newest([run for run in runs if data_of(run) == other])
        users = sorted({run.data.tags.get("mlflow.user", "unknown") for run in found})
        champion = ", with the champion" if best and data_of(best) == other else ""
        number = counted(len(found), "study")
        lines.append(
            f"not shown: {number} on other data, by {', '.join(users)}{champion}: "
            f"--data {other[:8]}"
        )
    return lines


def champion_run(client: MlflowClient, dataset: str) -> Run | None:
    """Return the run of the study whose model is the champion, or None."""
    try:
        version = client.get_model_version_by_alias(dataset, "champion")
        run = client.get_run(str(version.run_id))
        return client.get_run(run.data.tags.get("mlflow.parentRunId", run.info.run_id))
    except MlflowException as error:
        if tracking_client.is_transient_error(error):
            raise
        return None


def study_row(run: Run, metric: str, best: str | None) -> StudyRow:
    """Return the results of a finished study by a test metric; `best` is the id of the
    champion's run.
    """
    from scipy.special import stdtrit  # scipy.stats takes long to import

    metrics = _metrics(run)
    seeds = int(run.data.params.get("seeds", 1))
    error = metrics.get(f"test_{metric}_standard_error")
    half = None
    if error is not None:
        half = float(stdtrit(seeds - 1, 0.975)) * error
    return StudyRow(
        study=run.data.tags["ftml.study"],
        family=run.data.tags["ftml.family"],
        test=metrics[f"test_{metric}"],
        half=half,
        valid=metrics.get(f"valid_{metric}"),
        seeds=seeds,
        seconds=sum(metrics.get(part, 0.0) for part in views.SECONDS),
        champion=run.info.run_id == best,
        user=run.data.tags.get("mlflow.user", "unknown"),
    )


def table_of(found: Sequence[StudyRow], metric: str, *, users: bool) -> Table:
    """Return the table of studies, in the given order; `users` adds a column that says
    who has run each.
    """
    columns = ["study", "family", f"test {metric}", "95 % interval", "seeds"]
    columns += [f"valid {metric}", "seconds", "", *(["by"] if users else [])]
    rows = [
        [
            each.study,
            each.family,
            formatting.format_number(each.test),
            _interval(each),
            str(each.seeds),
            "" if each.valid is None else formatting.format_number(each.valid),
            f"{each.seconds:.1f}",
            "champion" if each.champion else "",
            *([each.user] if users else []),
        ]
        for each in found
    ]
    return table(columns, rows, unbroken=len(columns))


def _interval(each: StudyRow) -> str:
    if each.half is None:
        return "none: one seed" if each.seeds == 1 else ""
    ends = (each.test - each.half, each.test + each.half)
    return " to ".join(map(formatting.format_number, ends))


def _metrics(run: Run) -> dict[str, float]:
    metrics: dict[str, float] = run.data.metrics
    return metrics
