"""What is logged to MLflow. One writer, the driver; a run is found by what it is, never
made twice.

A study is a run with a child for each trial and each final fit. Runs carry tags that
say what they are (`ftml.key`, `ftml.role`, `ftml.index`), so that a driver that takes
over after a death finds them, logs what is missing, and nothing a second time.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
)
from mlflow.models import infer_signature

import ftml
from ftml.saving import load
from ftml.tasks import task
from pipelines.params.keys import imported, source_modules, study_modules
from pipelines.params.read import Dataset as DatasetOfParams
from pipelines.params.read import Study
from pipelines.study.metrics import MlflowIds, StudyMetrics
from pipelines.study.results import FILES, Outcome
from pipelines.tracking import descriptions, views
from pipelines.tracking.child_runs import ChildRuns, as_params, distinct, run_tags
from pipelines.tracking.client import (
    close_stale_runs,
    driver,
    open_store,
    retry_until_available,
    search,
    try_call,
)


class StudyRun:
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
        self._children: list[ChildRuns] = []
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
        tags = run_tags(study, role="study") | {
            "ftml.key": key,
            "ftml.data": digest,
            "ftml.reproduce": descriptions.reproduce(study.dataset),
            "mlflow.note.content": descriptions.study(study, self.experiment),
        }
        run = self.client.create_run(self.experiment, tags=tags, run_name=study.name)
        return str(run.info.run_id)

    def _describe(self, digest: str) -> None:
        """Log the view of the search, the dataset and, last, what is fixed."""
        study = self.study
        if descriptions.searches(study):
            for name, value in views.study_tag(study).items():
                self.client.set_experiment_tag(self.experiment, name, value)
        dataset = Dataset(
            name=study.dataset.name,
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": str(study.dataset.folder)}),
        )
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.run, [DatasetInput(dataset, tags=[context])])
        fixed = study.config.model_dump(mode="json", exclude=set(study.space))
        budget = {"trials": study.section.trials, "seeds": study.section.seeds}
        self.client.log_batch(self.run, params=as_params({**fixed, **budget}))

    def __enter__(self) -> StudyRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            retry_until_available(
                lambda: self.client.set_terminated(self.run, "FINISHED")
            )
        else:
            try_call(self._kill)  # else the next driver closes them

    def _kill(self) -> None:
        for children in self._children:
            children.close()
        self.client.set_terminated(self.run, "KILLED")

    def children(self, role: str) -> ChildRuns:
        """Return the child runs of a role, `trial` or `fit`."""
        self._children.append(retry_until_available(lambda: ChildRuns(self, role=role)))
        return self._children[-1]

    def metadata(self, version: str) -> MlflowIds:
        """Return what finds this study in MLflow again."""
        return MlflowIds(
            experiment=self.experiment,
            run=self.run,
            model=self.study.dataset.name,
            model_version=version,
        )

    def log_results(
        self, outcome: Outcome, folder: Path, example: pd.DataFrame, fits: ChildRuns
    ) -> str:
        """Log tests, figures, files and the model; return the registered model's
        version.

        `folder` holds what `pipelines.study.results` has written, `example` a few model
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
        summary = {f"test_{name}": estimate.mean for name, estimate in test.items()}
        if (error := test[metric].standard_error) is not None:
            summary[f"test_{metric}_standard_error"] = error
        for other in self.study.section.selections[1:]:
            summary[f"test_{metric}_by_{other}"] = outcome.test(other)[metric].mean
        scores = {k: v for k, v in outcome.search.items() if k.startswith("valid_")}
        seconds = {
            "search_seconds": round(outcome.tried.seconds, 3),
            "fit_seconds": round(outcome.fitted.seconds, 3),
        }
        self._summarise(self.run, summary | scores | seconds)
        self._conclude(outcome, version, fits.runs[0])
        for index in fits.runs:
            fits.end(index, outcome="finished")
        return version

    def _conclude(self, outcome: Outcome, version: str, fit: str) -> None:
        """Log what was chosen, the model of a fit as an output, and all there is to
        say.
        """
        chosen = [choice.config for choice in outcome.chosen()]
        alike = {
            name: value
            for name, value in chosen[0].items()
            if all(each[name] == value for each in chosen)
        }
        self.client.log_batch(self.run, params=as_params(alike))
        if not self._models(self.run):
            self.client.log_outputs(self.run, self._models(fit))
        about = [
            descriptions.result(outcome.metrics(), version),
            descriptions.study(self.study, self.experiment),
        ]
        self.client.set_tag(self.run, "mlflow.note.content", "\n\n".join(about))

    def _models(self, run: str) -> list[LoggedModelOutput]:
        """Return the models that a run has as outputs."""
        outputs = self.client.get_run(run).outputs
        return outputs.model_outputs if outputs else []

    def _summarise(self, run: str, metrics: Mapping[str, float]) -> None:
        """Log the final metrics that a run does not have yet."""
        have = self.client.get_run(run).data.metrics
        missing = {
            name: value for name, value in distinct(metrics).items() if name not in have
        }
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
                code_paths=[str(Path(ftml.__file__).parent)],
                signature=infer_signature(example, served),
                pip_requirements=_requirements(self.study),
            )
        name = self.study.dataset.name
        if not self.client.search_registered_models(f"name = '{name}'"):
            about = descriptions.model(self.study.dataset)
            self.client.create_registered_model(name, description=about)
        version = self.client.create_model_version(
            name,
            logged.model_uri,
            run_id=run,
            model_id=logged.model_id,
            tags={"study": self.study.name, "family": self.study.family.name},
            description=descriptions.version(self.study, self.experiment),
        )
        return str(version.version)


def log_comparison(
    client: MlflowClient,
    experiment: str,
    dataset: DatasetOfParams,
    folder: Path,
    *,
    digest: str,
    best: StudyMetrics,
    curves: Sequence[str],
    studies: Collection[str],
) -> None:
    """Log the files that compare the studies of a dataset, into one run of their own,
    and say on the experiment's page which is best.

    `folder` holds what `pipelines.study.comparison` has written; `best` is the
    metrics.json of the study that is best in validation; `curves` names the training
    metrics that several studies share. `studies` are the runs that are compared: these
    runs and their final fits alone get the tag `ftml.current`, by which the views leave
    out runs that others have replaced.
    """
    for role in ("study", "fit"):
        for run in search(client, experiment, f"tags.`ftml.role` = '{role}'"):
            study = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
            is_current = str(study in studies).lower()
            if run.data.tags.get("ftml.current") != is_current:
                client.set_tag(run.info.run_id, "ftml.current", is_current)
    runs = search(client, experiment, "tags.`ftml.role` = 'comparison'")
    if runs:
        identity = runs[0].info.run_id
    else:
        tags = {"ftml.role": "comparison", "ftml.driver": driver()}
        identity = client.create_run(
            experiment, tags=tags, run_name="all studies compared"
        ).info.run_id
    client.set_tag(identity, "mlflow.note.content", (folder / "table.md").read_text())
    client.log_artifacts(identity, str(folder))
    client.set_terminated(identity, "FINISHED")
    about = descriptions.experiment(
        dataset, experiment, digest=digest, best=best, curves=bool(curves)
    )
    note = {"mlflow.note.content": about}
    for name, value in (views.curves_tag(curves) | note).items():
        client.set_experiment_tag(experiment, name, value)


def _requirements(study: Study) -> list[str]:
    """Return the exact versions that a served model needs, from what its source
    imports.
    """
    modules = source_modules(*study_modules(study))
    tops = {name.split(".")[0] for path in modules.values() for name in imported(path)}
    packages = _packages()
    needed = {packages[top][0] for top in tops if top in packages and top != "ftml"}
    return sorted(f"{name}=={_public(name)}" for name in needed | {"mlflow"})


@cache
def _packages() -> Mapping[str, Sequence[str]]:
    """Return the installed packages by what they are imported as; it takes a second."""
    return metadata.packages_distributions()


def _public(package: str) -> str:
    """Return an installed version without its local part (`+cpu`)."""
    return metadata.version(package).split("+")[0]


def close_stale_runs_of_store(*, heartbeat_timeout: float | None = None) -> int:
    """Close the stale runs in all experiments of the store; return their number.

    A run is stale when its driver ran on this machine and has crashed; with
    `heartbeat_timeout` also when the last heartbeat of its driver on another machine is
    more than that many seconds old.
    """
    client = open_store()
    return sum(
        close_stale_runs(
            client, experiment.experiment_id, heartbeat_timeout=heartbeat_timeout
        )
        for experiment in client.search_experiments()
    )
