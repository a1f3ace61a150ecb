"""The child runs of a study: what they lack is logged, once, and in order.

A call may fail at any point, when MLflow's server goes away, and be made again.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow.entities import Metric, Param, Run, RunTag

from pipelines.params.keys import commit
from pipelines.params.read import Study
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Trial
from pipelines.tracking import descriptions
from pipelines.tracking.client import SEEN, driver, search

if TYPE_CHECKING:
    from pipelines.tracking.study_run import StudyRun

BATCH = 900
"Most metric values of one call: MLflow takes 1000, with up to 100 params among them."


class ChildRuns:
    """The child runs of a study in one role; what they lack is logged, once."""

    def __init__(self, log: StudyRun, *, role: str) -> None:
        self.parent, self.role, self.client = log, role, log.client
        self.runs: dict[int, str] = {}
        self._logged: dict[int, set[int]] = {}
        self._described: set[int] = set()
        self._ended: set[int] = set()
        self._doubtful: set[int] = set()
        self._mine = (
            f"tags.`mlflow.parentRunId` = '{log.run}' and tags.`ftml.role` = '{role}'"
        )
        for run in search(self.client, log.experiment, self._mine):
            self._take_over(int(run.data.tags["ftml.index"]), run)

    def _take_over(self, index: int, run: Run) -> None:
        """Learn what an earlier driver has logged in a run, and go on with it."""
        self.runs[index] = run.info.run_id
        curve = [key for key in run.data.metrics if key.startswith("train_")]
        points = (
            self.client.get_metric_history(run.info.run_id, curve[0]) if curve else []
        )
        self._logged[index] = {point.step for point in points}
        if run.data.params:
            self._described.add(index)
        if run.info.status in ("FINISHED", "FAILED"):
            self._ended.add(index)
        else:
            self.client.update_run(run.info.run_id, status="RUNNING")
            self.client.set_tag(run.info.run_id, "ftml.driver", driver())

    def log(
        self,
        trials: Mapping[int, Trial],
        decisions: Mapping[int, PruningDecision],
        which: set[int],
    ) -> None:
        """Bring the runs of some trials up to what is settled, and end those that
        ended.

        It may fail at any point and be called again: what arrived before is asked for.
        """
        self.client.set_tag(self.parent.run, SEEN, f"{time.time():.0f}")
        for index in sorted(which):
            if index in self._doubtful:
                self._find(index)
            self._doubtful.add(index)
            self._bring_up(index, trials[index], decisions[index])
            self._doubtful.remove(index)

    def _find(self, index: int) -> None:
        """Learn what has arrived of a run whose logging failed."""
        this = f"{self._mine} and tags.`ftml.index` = '{index}'"
        for run in search(self.client, self.parent.experiment, this):
            self._take_over(index, run)
        self._doubtful.discard(index)

    def _bring_up(self, index: int, trial: Trial, decision: PruningDecision) -> None:
        self._log_steps(index, trial, upto=decision.step)
        if self.role == "fit" or not trial.ended:
            return
        if trial.error:
            outcome = "diverged" if trial.diverged else "failed"
            self.end(index, outcome=outcome, error=trial.error)
        elif not decision.pending:
            self.end(index, outcome="stopped" if decision.pruned else "finished")

    def _log_steps(self, index: int, trial: Trial, *, upto: float) -> None:
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
                Metric(key, value, now, n) for key, value in distinct(metrics).items()
            ]
        if batch or index not in self._described:
            self._send(index, trial, batch)

    def _send(self, index: int, trial: Trial, batch: list[Metric]) -> None:
        """Log metrics, and the first time what the trial is, in one call."""
        params = [] if index in self._described else self._params(trial)
        self.client.log_batch(self.runs[index], metrics=batch, params=params)
        self._logged[index] |= {metric.step for metric in batch}
        self._described.add(index)

    def _create(self, index: int, trial: Trial) -> str:
        study = self.parent.study
        name = _child_name(study, self.role, index, trial)
        tags = run_tags(study, role=self.role) | {
            "mlflow.parentRunId": self.parent.run,
            "ftml.index": str(index),
            "mlflow.note.content": descriptions.child(study, self.role, trial),
        }
        run = self.client.create_run(self.parent.experiment, tags=tags, run_name=name)
        return str(run.info.run_id)

    def _params(self, trial: Trial) -> list[Param]:
        study, about = self.parent.study, dict[str, Any]()
        if _several_folds(study):
            about["left_out"] = ", ".join(trial.fold)
        if self.role == "fit" and study.section.learning_curve:
            about["share"] = trial.share
        return as_params({**trial.config, **about})

    def end(self, index: int, *, outcome: str, error: str | None = None) -> None:
        """Close a run with how it ended: finished, stopped, diverged or failed."""
        if index in self._ended:
            return
        tags = [RunTag("ftml.outcome", outcome)]
        if error:
            tags.append(RunTag("ftml.error", error[:5000]))
        self.client.log_batch(self.runs[index], tags=tags)
        status = "FAILED" if outcome == "failed" else "FINISHED"
        self.client.set_terminated(self.runs[index], status)
        self._ended.add(index)

    def close(self) -> None:
        """Close what is open when the driver has to stop: none stays RUNNING."""
        for index in set(self.runs) - self._ended:
            self.client.set_terminated(self.runs[index], "KILLED")


def _child_name(study: Study, role: str, index: int, trial: Trial) -> str:
    """Return the name of a run; what tells it from its siblings comes first, since
    MLflow cuts long names.
    """
    which = f"seed {trial.config['seed']}" if role == "fit" else f"trial {index}"
    without = f", without {', '.join(trial.fold)}" if _several_folds(study) else ""
    part = f", {trial.share:.0%} of the rows" if trial.share < 1 else ""
    return f"{which}{without}{part}: {study.name}"


def _several_folds(study: Study) -> bool:
    """Return whether the runs of a study leave out different domains."""
    return len(study.test_domains) > 1 or study.section.selections != ["validation"]


def as_params(values: Mapping[str, Any]) -> list[Param]:
    return [
        Param(name, value if isinstance(value, str) else json.dumps(value))
        for name, value in values.items()
    ]


def distinct(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics without those that repeat another: where there is one domain
    alone, its values are also those over all domains and of the worst one.
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
    tags = {
        "ftml.role": role,
        "ftml.family": study.family.name,
        "ftml.study": study.name,
        "ftml.driver": driver(),
        "mlflow.source.name": f"dvc repro experiment@{study.dataset.name}",
        "mlflow.source.type": "JOB",
    }
    at = commit()
    return tags | ({"mlflow.source.git.commit": at} if at else {})
