"""The child runs of a study in MLflow: one for each trial, one for each final fit.

Who writes. The driver alone, from the record of the search on disk. `ChildRuns.log` may
be called at any time, with a record that has grown since the last call.

Order, for each trial in the order of the indices: the run is created with its tags;
its metrics are logged by step, in batches, and the first batch also holds its
parameters; when the trial has ended and its pruning is decided, its outcome is logged
and the run is terminated. Only the steps that count are logged: none beyond the step of
a pruning decision. The run of a final fit is terminated by `StudyRun.log_results`,
after its test metrics are logged, or here as FAILED when the fit has failed.

Retries. This module does not retry: every call can fail at any point, for instance when
the server stops responding, and the caller repeats `log`. A trial is unconfirmed from
the start of its logging to the end. If `log` finds a trial unconfirmed, an earlier call
has failed, and its answer may have been lost after the server carried it out; what has
arrived is then read from MLflow, and only the rest is logged. A driver that continues
the study of a crashed driver adopts its runs in the same way.

Observe: the tags `ftml.role` (`trial` or `fit`), `ftml.index`, `ftml.driver` and
`ftml.outcome` (finished, stopped, diverged or failed) of the child runs, and
`ftml.heartbeat` of their parent, which each call of `log` sets.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipelines.params.keys import commit
from pipelines.params.read import Study
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Trial
from pipelines.tracking import descriptions
from pipelines.tracking.client import search_runs
from pipelines.tracking.ownership import ERROR, HEARTBEAT, owner_tags, take_over

BATCH = 900
"Most metric values in one call: MLflow accepts 1000, parameters and tags included."


@dataclass(frozen=True)
class ParentRun:
    """The run of a study, as its child runs need it."""

    client: MlflowClient
    experiment_id: str
    run_id: str
    study: Study


class ChildRuns:
    """The child runs of a study in one role, `trial` or `fit`.

    `runs` maps the index of a trial to the id of its run. Runs that an earlier driver
    has created are adopted.
    """

    def __init__(self, parent: ParentRun, *, role: str) -> None:
        self.parent, self.role, self.client = parent, role, parent.client
        self.runs: dict[int, str] = {}
        self._logged: dict[int, set[int]] = {}
        "the steps whose metrics are in MLflow"

        self._described: set[int] = set()
        "the trials whose parameters are in MLflow"

        self._ended: set[int] = set()
        "the trials whose run is terminated"

        self._unconfirmed: set[int] = set()
        "the trials whose logging has started and has not returned"

        self._condition = (
            f"tags.`mlflow.parentRunId` = '{parent.run_id}' "
            f"and tags.`ftml.role` = '{role}'"
        )
        for run in search_runs(self.client, parent.experiment_id, self._condition):
            self._adopt_run(int(run.data.tags["ftml.index"]), run)

    def _adopt_run(self, index: int, run: Run) -> None:
        """Read what MLflow has of a run, and set this process as its driver unless the
        run is terminated.
        """
        self.runs[index] = run.info.run_id
        curve = [key for key in run.data.metrics if key.startswith("train_")]
        points = (
            self.client.get_metric_history(run.info.run_id, curve[0]) if curve else []
        )
        self._logged[index] = {point.step for point in points}
        if run.data.params:
            self._described.add(index)
        if run.info.status == "FINISHED":
            self._ended.add(index)
        else:  # also FAILED: what has failed may be trained again
            take_over(self.client, run)

    def log(
        self,
        trials: Mapping[int, Trial],
        decisions: Mapping[int, PruningDecision],
        indices: Collection[int],
    ) -> None:
        """Log what MLflow lacks of the trials with these indices, and terminate the
        runs of those that have ended.

        `trials` and `decisions` hold every trial of the search by its index. The call
        is idempotent: after a failure at any point, it can be repeated.
        """
        self.client.set_tag(self.parent.run_id, HEARTBEAT, f"{time.time():.0f}")
        for index in sorted(indices):
            if index in self._unconfirmed:
                self._read_back(index)
            self._unconfirmed.add(index)
            self._log_trial(index, trials[index], decisions[index])
            self._unconfirmed.remove(index)

    def _read_back(self, index: int) -> None:
        """Read from MLflow what has arrived of a trial whose logging has failed."""
        condition = f"{self._condition} and tags.`ftml.index` = '{index}'"
        for run in search_runs(self.client, self.parent.experiment_id, condition):
            self._adopt_run(index, run)
        self._unconfirmed.discard(index)

    def _log_trial(self, index: int, trial: Trial, decision: PruningDecision) -> None:
        """Log the steps of a trial that count; end its run if nothing can follow."""
        self._log_steps(index, trial, upto=decision.step)
        if not trial.ended or (self.role == "fit" and not trial.error):
            return
        if trial.error:
            outcome = "diverged" if trial.diverged else "failed"
            self.end(index, outcome=outcome, error=trial.error)
        elif not decision.pending:
            self.end(index, outcome="stopped" if decision.pruned else "finished")

    def _log_steps(self, index: int, trial: Trial, *, upto: float) -> None:
        """Log the steps up to `upto` that MLflow lacks, in batches of BATCH values."""
        if index not in self.runs:
            self.runs[index] = self._create(index, trial)
            self._logged[index] = set()
        now = int(time.time() * 1000)
        batch: list[Metric] = []
        for n, metrics in sorted(trial.steps.items()):
            if n > upto or n in self._logged[index]:
                continue
            if len(batch) + len(metrics) > BATCH:
                self._send(index, trial, batch)
                batch = []
            batch += [
                Metric(key, value, now, n)
                for key, value in without_duplicates(metrics).items()
            ]
        if batch or index not in self._described:
            self._send(index, trial, batch)

    def _send(self, index: int, trial: Trial, batch: list[Metric]) -> None:
        """Log metrics in one call; the first call of a trial also logs its params."""
        params = [] if index in self._described else self._params(trial)
        self.client.log_batch(self.runs[index], metrics=batch, params=params)
        self._logged[index] |= {metric.step for metric in batch}
        self._described.add(index)

    def _create(self, index: int, trial: Trial) -> str:
        """Create the run of a trial; return its id."""
        study = self.parent.study
        name = _child_name(study, self.role, index, trial)
        tags = run_tags(study, role=self.role) | {
            "mlflow.parentRunId": self.parent.run_id,
            "ftml.index": str(index),
            "mlflow.note.content": descriptions.child(study, self.role, trial),
        }
        run = self.client.create_run(
            self.parent.experiment_id, tags=tags, run_name=name
        )
        return str(run.info.run_id)

    def _params(self, trial: Trial) -> list[Param]:
        """Return the parameters of a trial: its configuration and what it trains on."""
        study, data = self.parent.study, dict[str, object]()
        if _several_folds(study):
            data["left_out"] = ", ".join(trial.fold)
        if self.role == "fit" and study.section.learning_curve:
            data["share"] = trial.share
        return as_params({**trial.config, **data})

    def end(self, index: int, *, outcome: str, error: str | None = None) -> None:
        """Terminate the run of a trial, with its outcome (finished, stopped, diverged
        or failed) as a tag; nothing happens if the run is terminated already.
        """
        if index in self._ended:
            return
        tags = [RunTag("ftml.outcome", outcome)]
        if error:
            tags.append(RunTag(ERROR, error[:5000]))
        self.client.log_batch(self.runs[index], tags=tags)
        status = "FAILED" if outcome == "failed" else "FINISHED"
        self.client.set_terminated(self.runs[index], status)
        self._ended.add(index)

    def kill(self) -> None:
        """Terminate the runs that have not ended as KILLED, when the driver stops. One
        that cannot be terminated, such as a deleted one, does not stop the others.
        """
        for index in set(self.runs) - self._ended:
            with suppress(MlflowException):
                self.client.set_terminated(self.runs[index], "KILLED")


def _child_name(study: Study, role: str, index: int, trial: Trial) -> str:
    """Return the name of a run. What distinguishes it from its siblings comes first,
    since MLflow cuts long names.
    """
    number = f"seed {trial.config['seed']}" if role == "fit" else f"trial {index}"
    left_out = f", without {', '.join(trial.fold)}" if _several_folds(study) else ""
    fraction = f", {trial.share:.0%} of the rows" if trial.share < 1 else ""
    return f"{number}{left_out}{fraction}: {study.name}"


def _several_folds(study: Study) -> bool:
    """Return whether the runs of a study can leave out different domains."""
    return len(study.test_domains) > 1 or study.section.selections != ["validation"]


def as_params(values: Mapping[str, object]) -> list[Param]:
    """Return values as parameters of MLflow: text unchanged, other values as JSON."""
    return [
        Param(name, value if isinstance(value, str) else json.dumps(value))
        for name, value in values.items()
    ]


def without_duplicates(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics without those that repeat another one.

    With a single domain, the metric of that domain (`test_accuracy/75`) and of the
    worst domain (`test_worst_accuracy`) equal the one over all domains.
    """
    domains = Counter(name.partition("/")[0] for name in metrics if "/" in name)
    single = {name for name, count in domains.items() if count == 1}
    return {
        name: value
        for name, value in metrics.items()
        if name.partition("/")[0].replace("_worst_", "_") not in single
        or ("/" not in name and "_worst_" not in name)
    }


def run_tags(study: Study, *, role: str) -> dict[str, str]:
    """Return the tags that every run of a study has; `role` is study, trial or fit."""
    tags = {
        "ftml.role": role,
        "ftml.family": study.family.name,
        "ftml.study": study.name,
        **owner_tags(),
        "mlflow.source.name": f"dvc repro experiment@{study.dataset.name}",
        "mlflow.source.type": "JOB",
    }
    revision = commit()
    return tags | ({"mlflow.source.git.commit": revision} if revision else {})
