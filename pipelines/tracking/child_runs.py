"""The child runs of a study in MLflow: one for each trial, one for each final fit.

Who writes. The driver alone, from the record of the search on disk. `ChildRuns.log` may
be called at any time, with a record that has grown since the last call.

Order, for each trial in the order of the indices: the run is created with its tags;
its metrics are logged by step, in batches, and the first batch also holds its
parameters; when the trial has ended and its pruning is decided, the last batch also
holds its outcome, and the run is terminated. A trial that has ended when its run is
created has its outcome among the tags of its creation, so it takes three calls. Only
the steps that count are logged: none beyond the step of a pruning decision. The run of
a final fit is terminated by `StudyRun.log_results`, after its test metrics are logged,
or here as FAILED when the fit has failed.

Retries. This module does not retry: every call can fail at any point, for instance when
the server stops responding, and the caller repeats `log`. A trial is unconfirmed from
the start of its logging to the end. If `log` finds a trial unconfirmed, an earlier call
has failed, and its answer may have been lost after the server carried it out; what has
arrived is then read from MLflow, and only the rest is logged. A driver that continues
the study of a crashed driver adopts its runs in the same way.

Observe: the tags `ftml.role` (`trial` or `fit`), `ftml.index`, `ftml.driver` and
`ftml.outcome` (finished, stopped, diverged or failed) of the child runs, and
`ftml.heartbeat` of their parent, which `log` sets at most every HEARTBEAT_PAUSE_S.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

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

HEARTBEAT_PAUSE_S = 5.0
"Shortest time between two heartbeats, in s."

BATCH = 900
"Most metric values in one call: MLflow accepts 1000, parameters and tags included."


@dataclass(frozen=True)
class ParentRun:
    """The run of a study, as its child runs need it."""

    client: MlflowClient
    experiment_id: str
    run_id: str
    study: Study


@dataclass(frozen=True)
class _End:
    """How a trial has ended: finished, stopped, diverged or failed; and its error."""

    outcome: str
    error: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        tags = {"ftml.outcome": self.outcome}
        return tags | ({ERROR: self.error[:5000]} if self.error else {})

    @property
    def status(self) -> str:
        """The status of the run in MLflow."""
        return "FAILED" if self.outcome == "failed" else "FINISHED"


class ChildRuns:
    """The child runs of a study in one role, `trial` or `fit`.

    `runs` maps the index of a trial to the id of its run. Runs that an earlier driver
    has created are adopted.
    """

    def __init__(self, parent: ParentRun, *, role: str) -> None:
        self.parent, self.role, self.client = parent, role, parent.client
        self.runs: dict[int, str] = {}
        self._logged: dict[int, set[int]] = {}
        "the steps whose metrics are in MLflow, of the trials that can lack some"

        self._described: set[int] = set()
        "the trials whose parameters are in MLflow"

        self._ended: set[int] = set()
        "the trials whose run is terminated"

        self._unconfirmed: set[int] = set()
        "the trials whose logging has started and has not returned"

        self._tags = run_tags(parent.study, role=role)
        self._last_heartbeat = -HEARTBEAT_PAUSE_S
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
        self._set_heartbeat()
        for index in sorted(indices):
            if index in self._unconfirmed:
                self._read_back(index)
            self._unconfirmed.add(index)
            self._log_trial(index, trials[index], decisions[index])
            self._unconfirmed.remove(index)

    def _set_heartbeat(self) -> None:
        """Set the heartbeat of the study, unless it has just been set."""
        now = time.monotonic()
        if now - self._last_heartbeat >= HEARTBEAT_PAUSE_S:
            self.client.set_tag(self.parent.run_id, HEARTBEAT, f"{time.time():.0f}")
            self._last_heartbeat = now

    def _read_back(self, index: int) -> None:
        """Read from MLflow what has arrived of a trial whose logging has failed."""
        condition = f"{self._condition} and tags.`ftml.index` = '{index}'"
        for run in search_runs(self.client, self.parent.experiment_id, condition):
            self._adopt_run(index, run)
        self._unconfirmed.discard(index)

    def _log_trial(self, index: int, trial: Trial, decision: PruningDecision) -> None:
        """Log the steps of a trial that count; end its run if nothing can follow."""
        if index in self._ended and index not in self._logged:
            return  # it has all
        end = self._end_of(trial, decision)
        tags = end.tags if end and index not in self._ended else {}
        if index not in self.runs:
            self.runs[index] = self._create(index, trial, tags)
            self._logged[index], tags = set(), {}
        self._log_steps(index, trial, tags, upto=decision.step)
        if end:
            self._terminate(index, end)

    def _end_of(self, trial: Trial, decision: PruningDecision) -> _End | None:
        """Return how a trial has ended; None if something can follow, such as the test
        metrics of a final fit.
        """
        if not trial.ended:
            return None
        if trial.error:
            return _End("diverged" if trial.diverged else "failed", trial.error)
        if self.role == "fit" or decision.pending:
            return None
        return _End("stopped" if decision.pruned else "finished")

    def _log_steps(
        self, index: int, trial: Trial, tags: Mapping[str, str], *, upto: float
    ) -> None:
        """Log the steps up to `upto` that MLflow lacks, in batches of BATCH values, and
        with the last batch the tags.
        """
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
        if batch or tags or index not in self._described:
            self._send(index, trial, batch, tags)

    def _send(
        self,
        index: int,
        trial: Trial,
        batch: list[Metric],
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Log metrics and tags in one call; the first call of a trial also logs its
        params.
        """
        params = [] if index in self._described else self._params(trial)
        self.client.log_batch(
            self.runs[index],
            metrics=batch,
            params=params,
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self._logged[index] |= {metric.step for metric in batch}
        self._described.add(index)

    def _create(self, index: int, trial: Trial, tags: Mapping[str, str]) -> str:
        """Create the run of a trial, with further tags; return its id."""
        study = self.parent.study
        about = {
            "mlflow.parentRunId": self.parent.run_id,
            "ftml.index": str(index),
            "mlflow.note.content": descriptions.child(study, self.role, trial),
        }
        run = self.client.create_run(
            self.parent.experiment_id,
            tags={**self._tags, **about, **tags},
            run_name=_child_name(study, self.role, index, trial),
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
        if index not in self._ended:
            end = _End(outcome, error)
            tags = [RunTag(name, value) for name, value in end.tags.items()]
            self.client.log_batch(self.runs[index], tags=tags)
            self._terminate(index, end)

    def _terminate(self, index: int, end: _End) -> None:
        """Terminate the run of a trial, which has all its metrics and its tags."""
        if index not in self._ended:
            self.client.set_terminated(self.runs[index], end.status)
            self._ended.add(index)
        self._logged.pop(index, None)

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
