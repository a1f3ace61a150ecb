"""The claims in MLflow: one experiment, with a run for each measurement of a claim.

Who writes: the stage `claims`, and none of the processes that measure for it. A
measurement is searched for by its key among the runs of this folder before a run is
created, so repeated calls log it once.

Order: the run is created, its metrics and files are logged, it is terminated as
FINISHED; last, the tag `ftml.current` of the earlier runs of the claim is set to
`false`. A run with the same key that is not FINISHED is one that a crashed driver or a
failed call has left incomplete: it is terminated as KILLED and a new one is created.
`log` and `withdraw` are repeated as a whole while the server does not respond.
"""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import Metric, Run

from pipelines.params.keys import commit
from pipelines.study.measurements import FIGURE, TABLE, ClaimMlflowIds, Measurement
from pipelines.tracking import descriptions, views
from pipelines.tracking.client import (
    close_stale_runs,
    get_or_create_experiment,
    open_store,
    retry_until_available,
    search_runs,
)
from pipelines.tracking.ownership import own, owner_tags

EXPERIMENT = "claims"


class ClaimRuns:
    """The runs of the experiment `claims`; opening it closes stale runs and sets the
    view and the description of the experiment.
    """

    def __init__(self) -> None:
        self.client = open_store()
        self.experiment_id = get_or_create_experiment(self.client, EXPERIMENT)
        close_stale_runs(self.client, self.experiment_id)
        tags = views.claims_view() | {
            "mlflow.note.content": descriptions.claims(self.experiment_id)
        }
        for name, value in tags.items():
            self.client.set_experiment_tag(self.experiment_id, name, value)

    def log(
        self, measurement: Measurement, folder: Path, *, seconds: float
    ) -> ClaimMlflowIds:
        """Log a measurement with the table and figure in `folder`; return the ids of
        the experiment and the run.

        `seconds` is the time that the measurement took.
        """
        run_id = retry_until_available(lambda: self._log(measurement, folder, seconds))
        return ClaimMlflowIds(experiment=self.experiment_id, run=run_id)

    def _log(self, measurement: Measurement, folder: Path, seconds: float) -> str:
        """Log a measurement unless a finished run has its key, and make it the current
        one of its claim; return the id of its run.

        The tags of the other runs are set last, so that a crash before leads to a
        repetition of the whole call.
        """
        earlier = self._runs(f"attributes.run_name = '{measurement.claim}'")
        current = None
        for run in earlier:
            if run.data.tags["ftml.key"] != measurement.key:
                continue
            if run.info.status == "FINISHED":
                current = str(run.info.run_id)
            else:  # left incomplete by a crashed driver or a failed call
                self.client.set_terminated(run.info.run_id, "KILLED")
        current = current or self._new_run(measurement, folder, seconds)
        for run in earlier:
            self._set_current(run, is_current=run.info.run_id == current)
        return current

    def _new_run(self, measurement: Measurement, folder: Path, seconds: float) -> str:
        """Create the run of a measurement and log it; return the id of the run."""
        tags = _tags(measurement)
        created = self.client.create_run(
            self.experiment_id, tags=tags, run_name=measurement.claim
        )
        run_id, now = created.info.run_id, created.info.start_time
        values = {
            "expected": measurement.expected,
            "measured": measurement.measured,
            "tolerance": measurement.tolerance,
            "value_in_source": measurement.value_in_source,
            "standard_error": measurement.standard_error or None,
            "seconds": seconds,
        }
        metrics = [Metric(k, v, now, 0) for k, v in values.items() if v is not None]
        self.client.log_batch(run_id, metrics)
        for name in (TABLE, FIGURE):
            if (folder / name).exists():
                self.client.log_artifact(run_id, str(folder / name))
        self.client.set_terminated(run_id, "FINISHED")
        return str(run_id)

    def withdraw(self, claim: str, *, chapter: str) -> None:
        """Set all measurements of a claim that its chapter no longer has as not
        current.
        """
        retry_until_available(lambda: self._withdraw(claim, chapter))

    def _withdraw(self, claim: str, chapter: str) -> None:
        condition = f"attributes.run_name = '{claim}' and tags.`ftml.chapter` = "
        for run in self._runs(f"{condition}'{chapter}'"):
            self._set_current(run, is_current=False)

    def _set_current(self, run: Run, *, is_current: bool) -> None:
        """Set the tag `ftml.current` of a run, unless it has that value."""
        value = str(is_current).lower()
        if run.data.tags.get("ftml.current") != value:
            self.client.set_tag(run.info.run_id, "ftml.current", value)

    def _runs(self, condition: str) -> list[Run]:
        """Return the runs of this folder that meet a condition."""
        return own(search_runs(self.client, self.experiment_id, condition))


def _tags(measurement: Measurement) -> dict[str, str]:
    """Return the tags that describe a measurement, without those that are empty."""
    tags = {
        "ftml.role": "claim",
        "ftml.current": "true",
        "ftml.key": measurement.key,
        **owner_tags(),
        "ftml.chapter": measurement.chapter,
        "ftml.holds": str(measurement.passed).lower(),
        "mlflow.note.content": descriptions.claim(measurement),
        "ftml.mistakes": ", ".join(map(str, measurement.mistakes)),
        "mlflow.source.name": "dvc repro claims",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": commit(),
    }
    return {name: value for name, value in tags.items() if value}
