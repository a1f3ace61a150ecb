"""The claims in MLflow: one experiment, a run for each measurement of a claim."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import Metric, Run

from pipelines.params.keys import commit
from pipelines.study.measurements import FIGURE, TABLE, ClaimMlflowIds, Measurement
from pipelines.tracking import descriptions, views
from pipelines.tracking.client import (
    close_stale_runs,
    driver_id,
    get_or_create_experiment,
    open_store,
    retry_until_available,
    search_runs,
)

EXPERIMENT = "claims"


class ClaimRuns:
    """The experiment of the claims. A measurement is found by its key, never logged
    twice.
    """

    def __init__(self) -> None:
        self.client = open_store()
        self.experiment = get_or_create_experiment(self.client, EXPERIMENT)
        close_stale_runs(self.client, self.experiment)
        tags = views.claims_view() | {
            "mlflow.note.content": descriptions.claims(self.experiment)
        }
        for name, value in tags.items():
            self.client.set_experiment_tag(self.experiment, name, value)

    def log(
        self, measurement: Measurement, folder: Path, *, seconds: float
    ) -> ClaimMlflowIds:
        """Log a measurement with the table and figure in `folder`; return what finds
        it again. A server that does not answer is waited for.
        """
        run = retry_until_available(lambda: self._log(measurement, folder, seconds))
        return ClaimMlflowIds(experiment=self.experiment, run=run)

    def _log(self, measurement: Measurement, folder: Path, seconds: float) -> str:
        """Log a measurement if that was not done, and have it be the one that counts.

        The others of its claim are told so last: whoever dies before does it again.
        """
        earlier = self._runs(f"attributes.run_name = '{measurement.claim}'")
        done = None
        for run in earlier:
            if run.data.tags["ftml.key"] != measurement.key:
                continue
            if run.info.status == "FINISHED":
                done = str(run.info.run_id)
            else:  # of a driver that died, or a call that failed, half way
                self.client.set_terminated(run.info.run_id, "KILLED")
        done = done or self._new_run(measurement, folder, seconds)
        for run in earlier:
            self._tell(run, counts=run.info.run_id == done)
        return done

    def _new_run(self, measurement: Measurement, folder: Path, seconds: float) -> str:
        tags = _tags(measurement)
        created = self.client.create_run(
            self.experiment, tags=tags, run_name=measurement.claim
        )
        identity, now = created.info.run_id, created.info.start_time
        numbers = {
            "expected": measurement.expected,
            "measured": measurement.measured,
            "tolerance": measurement.tolerance,
            "value_in_source": measurement.value_in_source,
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

    def withdraw(self, claim: str, *, chapter: str) -> None:
        """Have no measurement count of a claim that its chapter does not hold any more.

        A server that does not answer is waited for.
        """
        retry_until_available(lambda: self._withdraw(claim, chapter))

    def _withdraw(self, claim: str, chapter: str) -> None:
        condition = f"attributes.run_name = '{claim}' and tags.`ftml.chapter` = "
        for run in self._runs(f"{condition}'{chapter}'"):
            self._tell(run, counts=False)

    def _tell(self, run: Run, *, counts: bool) -> None:
        """Tag a run with whether it counts, where it is not."""
        said = str(counts).lower()
        if run.data.tags.get("ftml.current") != said:
            self.client.set_tag(run.info.run_id, "ftml.current", said)

    def _runs(self, condition: str) -> list[Run]:
        return search_runs(self.client, self.experiment, condition)


def _tags(measurement: Measurement) -> dict[str, str]:
    """Return the tags that say what a measurement is; none is empty."""
    tags = {
        "ftml.role": "claim",
        "ftml.current": "true",
        "ftml.key": measurement.key,
        "ftml.driver": driver_id(),
        "ftml.chapter": measurement.chapter,
        "ftml.holds": str(measurement.passed).lower(),
        "mlflow.note.content": descriptions.claim(measurement),
        "ftml.mistakes": ", ".join(map(str, measurement.mistakes)),
        "mlflow.source.name": f"dvc repro claims@{measurement.chapter}",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": commit(),
    }
    return {name: value for name, value in tags.items() if value}
