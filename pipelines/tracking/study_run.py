"""The run of a study in MLflow.

A study is a run with a child run for each trial and each final fit (`child_runs`).

Who writes. The driver alone. A run is searched for by the tags that identify it before
one is created: `ftml.folder`, `ftml.key` and `ftml.role` for a study, and the parent,
`ftml.role` and `ftml.index` for a child. So a driver that continues the study of a
crashed driver of its folder logs to the same runs, and logs only what is missing. A
run of another folder is never written to, even if it has the same key (`ownership`).

Order in the run of a study:

1. opening it creates the run with its tags, or adopts the existing run, and logs the
   view of the search, the dataset and, last, the fixed parameters, by which a later
   driver knows that this part is complete;
2. `children("trial")` logs the search, `children("fit")` the final fits;
3. `log_results` logs the test metrics of the fits, registers the model, logs figures,
   files and summary metrics, describes the result, and then ends the runs of the fits;
4. leaving the `with` block terminates the run as FINISHED. When the study has failed,
   the run is terminated as FAILED, with the reason in the tag `ftml.error`, and its
   open children as KILLED; when the driver was stopped, all of them as KILLED.

The comparison (`comparison_run`) follows when all studies of the dataset are finished.

Retries. Opening the run and `log_results` are idempotent, and the stage repeats each
one as a whole while the server does not respond (`retry_until_available`). A model that
was logged and not registered before a call was lost is registered by the next call.
FAILED and KILLED are set with one attempt; if it fails, the next driver closes the runs
as stale.

Observe: the status of the run, and its tags `ftml.folder`, `ftml.driver`,
`ftml.heartbeat`, `ftml.key`, and `ftml.current` (whether the latest comparison of its
folder includes it).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Run,
)

from pipelines.common.explain import explain
from pipelines.params.read import Study
from pipelines.study.metrics import MlflowIds
from pipelines.study.results import FILES, Outcome
from pipelines.tracking import descriptions, views
from pipelines.tracking.child_runs import (
    ChildRuns,
    ParentRun,
    as_params,
    run_tags,
    without_duplicates,
)
from pipelines.tracking.client import (
    TrackingError,
    retry_until_available,
    search_runs,
)
from pipelines.tracking.model_version import model_outputs, register, version_tags
from pipelines.tracking.ownership import (
    ERROR,
    Heartbeat,
    other_driver,
    own,
    take_over,
)


class StudyRun:
    """The run of a study: the run that has the key of the study, or else a new one.

    Leaving the `with` block terminates it: as FINISHED, as FAILED after an error, or as
    KILLED when the driver is stopped, together with all open children.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        study: Study,
        *,
        key: str,
        digest: str,
    ) -> None:
        self.client, self.experiment_id, self.study = client, experiment_id, study
        self._children: list[ChildRuns] = []
        condition = f"tags.`ftml.key` = '{key}' and tags.`ftml.role` = 'study'"
        runs = own(search_runs(client, experiment_id, condition))
        if runs:
            self.run_id = self._continue(runs[0])
        else:
            self.run_id = self._create(key, digest)
        self._heartbeat = Heartbeat(client, self.run_id)
        if not (runs and runs[0].data.params):
            self._log_inputs(digest)

    def _create(self, key: str, digest: str) -> str:
        """Create the run with its tags; return its id."""
        study = self.study
        tags = run_tags(study, role="study") | {
            "ftml.key": key,
            "ftml.data": digest,
            "ftml.reproduce": descriptions.reproduce(study.dataset),
            "mlflow.note.content": descriptions.study(study, self.experiment_id),
        }
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=study.name)
        return str(run.info.run_id)

    def _continue(self, run: Run) -> str:
        """Take a run of this folder over; return its id. Raises TrackingError if
        another driver may be writing to it.
        """
        if other := other_driver(run):
            raise TrackingError(
                f"{self.study.name}: another driver of this project folder is running "
                f"it: {other}; wait for it, or, if it has crashed, run `ftml "
                "close-stale-runs --heartbeat-timeout 0` first"
            )
        take_over(self.client, run)
        return str(run.info.run_id)

    def _log_inputs(self, digest: str) -> None:
        """Log the view of the search, the dataset and, last, the parameters that are
        not searched.
        """
        study = self.study
        if descriptions.searches(study):
            for name, value in views.search_view(study).items():
                self.client.set_experiment_tag(self.experiment_id, name, value)
        dataset = Dataset(
            name=study.dataset.name,
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": str(study.dataset.folder)}),
        )
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, tags=[context])])
        fixed = study.config.model_dump(mode="json", exclude=set(study.space))
        budget = {
            "configurations": study.n_configurations,
            "seeds": study.section.seeds,
        }
        self.client.log_batch(self.run_id, params=as_params({**fixed, **budget}))

    def __enter__(self) -> StudyRun:
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        self._heartbeat.stop()
        if error is None:
            retry_until_available(
                lambda: self.client.set_terminated(self.run_id, "FINISHED")
            )
        else:
            # If that fails, the next driver closes the runs; `error` is the reason.
            with suppress(Exception):
                self._close(error)

    def _close(self, error: BaseException) -> None:
        """Terminate the run and its open children: as FAILED, with the reason as a tag,
        if the study has failed, and as KILLED if the driver was stopped.
        """
        for children in self._children:
            children.kill()
        if isinstance(error, Exception):
            self.client.set_tag(self.run_id, ERROR, explain(error)[:5000])
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        self.client.set_terminated(self.run_id, status)

    def children(self, role: str) -> ChildRuns:
        """Return the child runs in a role, `trial` or `fit`, with those that an earlier
        driver has logged.
        """
        parent = ParentRun(self.client, self.experiment_id, self.run_id, self.study)
        children = retry_until_available(lambda: ChildRuns(parent, role=role))
        self._children.append(children)
        return children

    def metadata(self, version: str) -> MlflowIds:
        """Return the ids by which the results of this study are found in MLflow."""
        return MlflowIds(
            experiment=self.experiment_id,
            run=self.run_id,
            model=self.study.dataset.name,
            model_version=version,
        )

    def log_results(
        self, outcome: Outcome, folder: Path, example: pd.DataFrame, fits: ChildRuns
    ) -> str:
        """Log test metrics, figures, files and the model; return the version of the
        registered model. The call is idempotent.

        `folder` is the one that `pipelines.study.results` has written, `example` a few
        inputs of the model, `fits` the child runs of the final fits.
        """
        for index, run in fits.runs.items():
            trial = outcome.fitted.trials[index]
            last = trial.steps[trial.last].items()
            self._log_missing_metrics(
                run, {k: v for k, v in last if k.startswith("test_")}
            )
        version = register(
            self.client,
            self.study,
            fits.runs[0],
            folder / "model",
            example,
            tags=version_tags(self.client.get_run(self.run_id), outcome),
        )
        for run in (fits.runs[0], self.run_id):
            self.client.log_artifacts(run, str(folder / "figures"), "figures")
        for name in FILES:
            self.client.log_artifact(self.run_id, str(folder / name))
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
        self._log_missing_metrics(self.run_id, summary | scores | seconds)
        self._log_choice(outcome, version, fits.runs[0])
        for index in fits.runs:
            fits.end(index, outcome="finished")
        return version

    def _log_choice(self, outcome: Outcome, version: str, fit: str) -> None:
        """Log the hyper-parameters that were chosen for all folds alike, the number of
        trials, the model of the run `fit` as an output, and the description of the
        result.
        """
        chosen = [choice.config for choice in outcome.chosen()]
        common = {
            name: value
            for name, value in chosen[0].items()
            if all(each[name] == value for each in chosen)
        }
        # A run that an earlier version has started has it, maybe with another value,
        # which MLflow refuses to change.
        if "trials" not in self.client.get_run(self.run_id).data.params:
            common["trials"] = outcome.metrics().trials
        self.client.log_batch(self.run_id, params=as_params(common))
        known = {each.model_id for each in model_outputs(self.client, self.run_id)}
        models = [m for m in model_outputs(self.client, fit) if m.model_id not in known]
        if models:
            self.client.log_outputs(self.run_id, models)
        parts = [
            descriptions.result(outcome.metrics(), version),
            descriptions.study(self.study, self.experiment_id),
        ]
        self.client.set_tag(self.run_id, "mlflow.note.content", "\n\n".join(parts))

    def _log_missing_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log the metrics that a run does not have yet."""
        logged = self.client.get_run(run_id).data.metrics
        missing = {
            name: value
            for name, value in without_duplicates(metrics).items()
            if name not in logged
        }
        if missing:
            now = int(time.time() * 1000)
            self.client.log_batch(
                run_id, [Metric(k, v, now, 0) for k, v in missing.items()]
            )
