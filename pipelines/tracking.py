"""What is logged to MLflow. One writer, the driver; a run is found by what it is, never
made twice.

A study is a run with a child for each trial and each final fit. Runs carry tags that
say what they are (`ftml.key`, `ftml.role`, `ftml.index`), so that a driver that takes
over after a death finds them, logs what is missing, and nothing a second time.

    python -m pipelines.tracking reap [MINUTES]

closes the runs that drivers of this machine left open when they died; with MINUTES also
those of drivers elsewhere that have logged nothing for so long.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.models import infer_signature

from ftml.saving import load
from ftml.tasks import task
from pipelines.halving import Limit
from pipelines.keys import commit, imported, source_modules, study_modules
from pipelines.params import Study
from pipelines.record import Trial
from pipelines.results import FILES, Outcome
from pipelines.stage import fail
from pipelines.store import (
    SEEN,
    answered,
    driver,
    open_store,
    patiently,
    reap,
    search,
)

BATCH = 1000
"Most metric values that MLflow takes in one call."


class StudyLog:
    """The run of a study: the one that has its key, else a new one.

    Leaving the block ends it; an exception closes it and all open children as KILLED.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        study: Study,
        *,
        key: str,
        digest: str,
    ) -> None:
        self.client, self.experiment, self.study = client, experiment, study
        self._children: list[Children] = []
        this = f"tags.`ftml.key` = '{key}' and tags.`ftml.role` = 'study'"
        runs = search(client, experiment, this)
        if runs:
            self.run = runs[0].info.run_id
            client.update_run(self.run, status="RUNNING")
            client.set_tag(self.run, "ftml.driver", driver())
        else:
            self.run = self._create(key, digest)
        if not (runs and runs[0].data.params):
            self._describe(digest)

    def _create(self, key: str, digest: str) -> str:
        study = self.study
        tags = _tags(study, role="study") | {
            "ftml.key": key,
            "ftml.data": digest,
            "ftml.reproduce": _reproduce(study),
            "mlflow.note.content": _description(study),
        }
        run = self.client.create_run(self.experiment, tags=tags, run_name=study.name)
        return str(run.info.run_id)

    def _describe(self, digest: str) -> None:
        """Log the dataset and, last, what is fixed."""
        study = self.study
        dataset = Dataset(
            name=study.dataset.name,
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": str(study.dataset.folder)}),
        )
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.run, [DatasetInput(dataset, tags=[context])])
        fixed = study.config.model_dump(mode="json", exclude=set(study.space))
        budget = {"trials": study.block.trials, "seeds": study.block.seeds}
        self.client.log_batch(self.run, params=_params({**fixed, **budget}))

    def __enter__(self) -> StudyLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            patiently(lambda: self.client.set_terminated(self.run, "FINISHED"))
        else:
            answered(self._kill)  # else the next driver closes them

    def _kill(self) -> None:
        for children in self._children:
            children.close()
        self.client.set_terminated(self.run, "KILLED")

    def children(self, role: str) -> Children:
        """Return the child runs of a role, `trial` or `fit`."""
        self._children.append(patiently(lambda: Children(self, role=role)))
        return self._children[-1]

    def where(self, version: str) -> dict[str, str]:
        """Return what finds this study in MLflow again."""
        return {
            "experiment": self.experiment,
            "run": self.run,
            "model": self.study.dataset.name,
            "model_version": version,
        }

    def results(
        self, outcome: Outcome, folder: Path, example: pd.DataFrame, fits: Children
    ) -> str:
        """Log tests, figures, files and the model; return the registered model's
        version.

        `folder` holds what `pipelines.results` has written, `example` a few model
        inputs.
        """
        for index, run in fits.runs.items():
            trial = outcome.fitted.trials[index]
            last = trial.steps[trial.last].items()
            self._summarise(run, {k: v for k, v in last if k.startswith("test_")})
        version = self._register(fits.runs[0], folder / "model", example)
        for run in (fits.runs[0], self.run):
            self.client.log_artifacts(run, str(folder / "figures"), "figures")
        for name in FILES:
            self.client.log_artifact(self.run, str(folder / name))
        test, metric = outcome.test(), self.study.dataset.metric
        summary = {f"test_{name}": spread["mean"] for name, spread in test.items()}
        if (error := test[metric]["standard_error"]) is not None:
            summary[f"test_{metric}_standard_error"] = error
        for other in self.study.block.selections[1:]:
            summary[f"test_{metric}_by_{other}"] = outcome.test(other)[metric]["mean"]
        scores = {k: v for k, v in outcome.search.items() if k.startswith("valid_")}
        self._summarise(self.run, summary | scores)
        for index in fits.runs:
            fits.end(index, outcome="finished")
        return version

    def _summarise(self, run: str, metrics: Mapping[str, float]) -> None:
        """Log the final metrics that a run does not have yet."""
        have = self.client.get_run(run).data.metrics
        missing = {name: value for name, value in metrics.items() if name not in have}
        if missing:
            now = int(time.time() * 1000)
            self.client.log_batch(
                run, [Metric(k, v, now, 0) for k, v in missing.items()]
            )

    def _register(self, run: str, folder: Path, example: pd.DataFrame) -> str:
        """Register the model in a folder (see `ftml.save`); return its version."""
        known = self.client.search_model_versions(f"run_id = '{run}'")
        if known:
            return str(known[0].version)
        served = task(self.study.family.task).serve(load(folder)[0], example)
        with warnings.catch_warnings(), mlflow.start_run(run_id=run):
            warnings.simplefilter("ignore")  # MLflow's hints on types of its signatures
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("serving.py")),
                artifacts={"model": str(folder)},
                code_paths=[str(Path(__file__).parents[1] / "ftml")],
                signature=infer_signature(example, served),
                pip_requirements=_requirements(self.study),
            )
        name = self.study.dataset.name
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        version = self.client.create_model_version(
            name, logged.model_uri, run_id=run, model_id=logged.model_id
        )
        return str(version.version)


class Children:
    """The child runs of a study in one role; what they lack is logged, once."""

    def __init__(self, log: StudyLog, *, role: str) -> None:
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
        self, trials: Mapping[int, Trial], reach: Mapping[int, Limit], which: set[int]
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
            self._bring_up(index, trials[index], reach[index])
            self._doubtful.remove(index)

    def _find(self, index: int) -> None:
        """Learn what has arrived of a run whose logging failed."""
        this = f"{self._mine} and tags.`ftml.index` = '{index}'"
        for run in search(self.client, self.parent.experiment, this):
            self._take_over(index, run)
        self._doubtful.discard(index)

    def _bring_up(self, index: int, trial: Trial, limit: Limit) -> None:
        self._log_steps(index, trial, upto=limit.n)
        if self.role == "fit" or not trial.ended:
            return
        if trial.error:
            self.end(index, outcome="failed", error=trial.error)
        elif limit.settled:
            self.end(index, outcome="stopped" if limit.stopped else "finished")

    def _log_steps(self, index: int, trial: Trial, *, upto: float) -> None:
        if index not in self.runs:
            self.runs[index] = self._create(index, trial)
            self._logged[index] = set()
        if index not in self._described:
            self._describe(index, trial)
        now = int(time.time() * 1000)
        batch: list[Metric] = []
        for n, metrics in sorted(trial.steps.items()):
            if n > upto or n in self._logged[index]:
                continue
            if len(batch) + len(metrics) > BATCH:
                self._send(index, batch)
                batch = []
            batch += [Metric(key, value, now, n) for key, value in metrics.items()]
        if batch:
            self._send(index, batch)

    def _send(self, index: int, batch: list[Metric]) -> None:
        self.client.log_batch(self.runs[index], metrics=batch)
        self._logged[index] |= {metric.step for metric in batch}

    def _create(self, index: int, trial: Trial) -> str:
        study = self.parent.study
        name = _child_name(study, self.role, index, trial)
        tags = _tags(study, role=self.role) | {
            "mlflow.parentRunId": self.parent.run,
            "ftml.index": str(index),
        }
        run = self.client.create_run(self.parent.experiment, tags=tags, run_name=name)
        return str(run.info.run_id)

    def _describe(self, index: int, trial: Trial) -> None:
        about: dict[str, Any] = {}
        if trial.fold:
            about["left_out"] = ", ".join(trial.fold)
        if self.role == "fit" and self.parent.study.block.learning_curve:
            about["share"] = trial.share
        params = _params({**trial.config, **about})
        self.client.log_batch(self.runs[index], params=params)
        self._described.add(index)

    def end(self, index: int, *, outcome: str, error: str | None = None) -> None:
        """Close a run with how it ended: finished, stopped or failed."""
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


def log_comparison(
    client: MlflowClient, experiment: str, dataset: str, folder: Path
) -> None:
    """Log the files that compare the studies of a dataset, into one run of their own.

    `folder` holds what `pipelines.comparison` has written.
    """
    runs = search(client, experiment, "tags.`ftml.role` = 'comparison'")
    if runs:
        run = runs[0].info.run_id
    else:
        tags = {"ftml.role": "comparison", "ftml.driver": driver()}
        name = f"comparison of {dataset}"
        run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
    client.set_tag(run, "mlflow.note.content", (folder / "table.md").read_text())
    client.log_artifacts(run, str(folder))
    client.set_terminated(run, "FINISHED")


def _child_name(study: Study, role: str, index: int, trial: Trial) -> str:
    which = f"seed {trial.config['seed']}" if role == "fit" else f"trial {index}"
    without = f", without {', '.join(trial.fold)}" if trial.fold else ""
    part = f", {trial.share:.0%} of the rows" if trial.share < 1 else ""
    return f"{study.name}, {which}{without}{part}"


def _requirements(study: Study) -> list[str]:
    """Return the exact versions that a served model needs, from what its source
    imports.
    """
    modules = source_modules(*study_modules(study))
    tops = {name.split(".")[0] for path in modules.values() for name in imported(path)}
    packages = metadata.packages_distributions()
    needed = {packages[top][0] for top in tops if top in packages and top != "ftml"}
    return sorted(f"{name}=={_public(name)}" for name in needed | {"mlflow"})


def _public(package: str) -> str:
    """Return an installed version without its local part (`+cpu`)."""
    return metadata.version(package).split("+")[0]


def _params(values: Mapping[str, Any]) -> list[Param]:
    return [Param(name, json.dumps(value)) for name, value in values.items()]


def _tags(study: Study, *, role: str) -> dict[str, str]:
    tags = {
        "ftml.role": role,
        "ftml.family": study.family.name,
        "ftml.task": study.family.task,
        "ftml.study": study.name,
        "ftml.driver": driver(),
        "mlflow.source.name": f"dvc repro experiment@{study.dataset.name}",
        "mlflow.source.type": "JOB",
    }
    at = commit()
    return tags | ({"mlflow.source.git.commit": at} if at else {})


def _description(study: Study) -> str:
    return (
        f"**{study.name}**: the family `{study.family.name}` on the dataset "
        f"`{study.dataset.name}`.\n\nSource: {study.family.source}\n\n"
        f"Reproduce: `{_reproduce(study)}`"
    )


def _reproduce(study: Study) -> str:
    at = commit()
    checkout = f"git checkout {at} && " if at else ""
    return f"{checkout}dvc repro experiment@{study.dataset.name}"


def main(arguments: Sequence[str]) -> None:
    """Close the runs of dead drivers in all experiments of the store."""
    usage = "usage: python -m pipelines.tracking reap [MINUTES]"
    if not arguments or arguments[0] != "reap" or len(arguments) > 2:
        raise ValueError(usage)
    silent_for = None
    if len(arguments) == 2:
        try:
            silent_for = 60 * float(arguments[1])
        except ValueError:
            raise ValueError(f"{usage}, came {arguments[1]!r}") from None
    client = open_store()
    closed = sum(
        reap(client, experiment.experiment_id, silent_for=silent_for)
        for experiment in client.search_experiments()
    )
    print(f"closed {closed} runs")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        fail(error)
