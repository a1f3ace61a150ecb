"""The claims in MLflow: one experiment, a run for each measurement of a claim."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mlflow.entities import Metric, Run

from pipelines import descriptions, views
from pipelines.keys import commit
from pipelines.measurements import FIGURE, TABLE, Measurement
from pipelines.store import (
    driver,
    experiment_named,
    open_store,
    patiently,
    reap,
    search,
)

EXPERIMENT = "claims"


class ClaimLog:
    """The experiment of the claims. A measurement is found by its key, never logged
    twice.
    """

    def __init__(self) -> None:
        self.client = open_store()
        self.experiment = experiment_named(self.client, EXPERIMENT)
        reap(self.client, self.experiment)
        tags = views.claims_tag() | {
            "mlflow.note.content": descriptions.claims(self.experiment)
        }
        for name, value in tags.items():
            self.client.set_experiment_tag(self.experiment, name, value)

    def log(
        self, measurement: Measurement, folder: Path, *, seconds: float
    ) -> dict[str, str]:
        """Log a measurement with the table and figure in `folder`; return what finds
        it again. A server that does not answer is waited for.
        """
        run = patiently(lambda: self._log(measurement, folder, seconds))
        return {"experiment": self.experiment, "run": run}

    def _log(self, measurement: Measurement, folder: Path, seconds: float) -> str:
        for run in self._runs(f"tags.`ftml.key` = '{measurement.key}'"):
            if run.info.status == "FINISHED":
                return str(run.info.run_id)
            # Of a driver that died, or a call that failed, half way.
            self.client.set_terminated(run.info.run_id, "KILLED")
        tags = _tags(measurement)
        created = self.client.create_run(
            self.experiment, tags=tags, run_name=measurement.claim
        )
        identity, now = created.info.run_id, created.info.start_time
        numbers = {
            "expected": measurement.expected,
            "measured": measurement.measured,
            "tolerance": measurement.tolerance,
            "as_printed": measurement.as_printed,
            "standard_error": measurement.standard_error or None,
            "seconds": seconds,
        }
        metrics = [Metric(k, v, now, 0) for k, v in numbers.items() if v is not None]
        self.client.log_batch(identity, metrics)
        for name in (TABLE, FIGURE):
            if (folder / name).exists():
                self.client.log_artifact(identity, str(folder / name))
        self.client.set_terminated(identity, "FINISHED")
        return str(identity)

    def close(self, keys: Collection[str], *, chapter: str) -> None:
        """Tag the runs that have these keys as those that count, of a chapter."""
        for run in self._runs(f"tags.`ftml.chapter` = '{chapter}'"):
            finished = run.info.status == "FINISHED"
            counts = str(finished and run.data.tags["ftml.key"] in keys).lower()
            if run.data.tags.get("ftml.current") != counts:
                self.client.set_tag(run.info.run_id, "ftml.current", counts)

    def _runs(self, condition: str) -> list[Run]:
        return search(self.client, self.experiment, condition)


def _tags(measurement: Measurement) -> dict[str, str]:
    """Return the tags that say what a measurement is; none is empty."""
    tags = {
        "ftml.role": "claim",
        "ftml.key": measurement.key,
        "ftml.driver": driver(),
        "ftml.chapter": measurement.chapter,
        "ftml.holds": str(measurement.passed).lower(),
        "mlflow.note.content": descriptions.claim(measurement),
        "ftml.mistakes": ", ".join(map(str, measurement.mistakes)),
        "mlflow.source.name": f"dvc repro claims@{measurement.chapter}",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": commit(),
    }
    return {name: value for name, value in tags.items() if value}
