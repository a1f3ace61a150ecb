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
from pipelines.tracking import client as tracking_client
from pipelines.tracking import views


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


def read(dataset: str, *, metric: str | None = None) -> list[Table | str]:
    """Return what `ftml compare` prints of a dataset: a table and a line below it.

    Raises ValueError when the dataset has no finished study, and for an unknown metric.
    """
    client = open_existing_store()
    experiment = experiment_of(client, dataset)
    condition = "tags.`ftml.role` = 'study' and attributes.status = 'FINISHED'"
    runs = newest(
        tracking_client.search_runs(client, experiment.experiment_id, condition)
    )
    if not runs:
        raise ValueError(f"no study of {dataset} has finished")
    if tracking_client.TASK not in experiment.tags:
        raise ValueError(
            f"the experiment {dataset} has no tag for its task: an earlier version "
            f"created it; rerun experiment@{dataset}"
        )
    name = metric or experiment.tags[tracking_client.METRIC]
    modes = task(experiment.tags[tracking_client.TASK]).METRICS
    if name not in modes:
        raise ValueError(f"unknown metric {name!r}{nearest(name, modes)}")
    best = champion(client, dataset)
    found = [
        study_row(run, name, best) for run in runs if f"test_{name}" in _metrics(run)
    ]
    sign = 1.0 if modes[name] == "min" else -1.0
    found.sort(key=lambda each: sign * each.test)
    less = "less" if modes[name] == "min" else "more"
    about = "the champion is the best in validation" if best else "there is no champion"
    return [
        table_of(found, name),
        f"{less} is better; intervals are 95 % t intervals over seeds; {about}",
    ]


def newest(runs: Sequence[Run]) -> list[Run]:
    """Return the last run of each study, of the runs on the data that were used last.

    A study that params.yaml no longer contains is left out: the last comparison has
    tagged its run as not current.
    """
    known = [run for run in runs if run.data.tags.get("ftml.current") != "false"]
    by_time = sorted(known, key=lambda run: run.info.start_time)
    on_last = [
        run
        for run in by_time
        if run.data.tags.get("ftml.data") == by_time[-1].data.tags.get("ftml.data")
    ]
    return list({run.data.tags["ftml.study"]: run for run in on_last}.values())


def champion(client: MlflowClient, dataset: str) -> str | None:
    """Return the id of the study run whose model is the champion, or None."""
    try:
        version = client.get_model_version_by_alias(dataset, "champion")
        run = client.get_run(str(version.run_id))
    except MlflowException as error:
        if tracking_client.is_transient_error(error):
            raise
        return None
    return str(run.data.tags.get("mlflow.parentRunId", run.info.run_id))


def study_row(run: Run, metric: str, best: str | None) -> StudyRow:
    """Return the results of a finished study by a test metric; `best` is the id of the
    champion's run.
    """
    from scipy.stats import t as student_t

    metrics = _metrics(run)
    seeds = int(run.data.params.get("seeds", 1))
    error = metrics.get(f"test_{metric}_standard_error")
    half = None
    if error is not None:
        half = float(student_t.ppf(0.975, seeds - 1)) * error
    return StudyRow(
        study=run.data.tags["ftml.study"],
        family=run.data.tags["ftml.family"],
        test=metrics[f"test_{metric}"],
        half=half,
        valid=metrics.get(f"valid_{metric}"),
        seeds=seeds,
        seconds=sum(metrics.get(part, 0.0) for part in views.SECONDS),
        champion=run.info.run_id == best,
    )


def table_of(found: Sequence[StudyRow], metric: str) -> Table:
    """Return the table of studies, in the given order."""
    columns = ["study", "family", f"test {metric}", "95 % interval", "seeds"]
    columns += [f"valid {metric}", "seconds", ""]
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
        ]
        for each in found
    ]
    return table(columns, rows, unbroken=len(columns))


def _interval(each: StudyRow) -> str:
    if each.half is None:
        return ""
    ends = (each.test - each.half, each.test + each.half)
    return " to ".join(map(formatting.format_number, ends))


def _metrics(run: Run) -> dict[str, float]:
    metrics: dict[str, float] = run.data.metrics
    return metrics
