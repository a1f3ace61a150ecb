"""The result of one study, as the pages of its dataset show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from ruamel.yaml.error import YAMLError

from pipelines.common import figures, formatting
from pipelines.common.estimate import Estimate
from pipelines.common.figures import Picture
from pipelines.params.read import Study
from pipelines.study.configuration import Configuration
from pipelines.study.metrics import (
    ChosenConfiguration,
    RunMetadata,
    StudyMetrics,
    load_metrics,
    load_run_metadata,
)
from pipelines.study.results import load_best, load_trials
from pipelines.tracking import mlflow_ui, views

MLFLOW = "http://127.0.0.1:5000"
"Address at which `make ui` serves MLflow."


@dataclass(frozen=True)
class StudyResult:
    """A study of params.yaml and the content of its result files."""

    study: Study
    metrics: StudyMetrics
    run: RunMetadata
    best: Configuration
    "the complete configuration that was chosen for the first tested fold"

    trials: pd.DataFrame
    fits: pd.DataFrame

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def test(self) -> Estimate:
        """The dataset's metric on the test split."""
        return self.metrics.test_score

    @property
    def valid(self) -> float:
        """The dataset's metric on validation data, of the chosen trials."""
        return self.metrics.validation_score

    @property
    def chosen(self) -> list[ChosenConfiguration]:
        """The configurations that the study's own selection chose, by tested fold."""
        return self.metrics.own_choices

    @property
    def chosen_values(self) -> dict[str, str]:
        """The chosen value of each hyper-parameter; if the folds differ, all values."""
        return {
            name: _join_distinct(
                [formatting.setting(each.config[name]) for each in self.chosen]
            )
            for name in self.chosen[0].config
        }

    @property
    def steps(self) -> str:
        """The chosen number of training steps; if the folds differ, all numbers."""
        return _join_distinct([str(each.steps) for each in self.chosen])

    @property
    def fixed_values(self) -> Configuration:
        """The values that params.yaml fixes, as the final fits used them."""
        return {k: self.best[k] for k in self.study.section.config if k in self.best}

    @property
    def failures(self) -> str:
        """The numbers of failed and diverged trials, such as `1 failed, 2 diverged`."""
        counts = {
            "failed": self.metrics.failed_trials,
            "diverged": self.metrics.diverged_trials,
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n)

    @property
    def run_link(self) -> str:
        """The page of the study's run in MLflow."""
        ids = self.run.mlflow
        return f"{MLFLOW}/#/experiments/{ids.experiment}/runs/{ids.run}"

    @property
    def search_link(self) -> str | None:
        """The page of the study's trials in MLflow; None for a single trial."""
        if self.metrics.trials == 1:
            return None
        key = views.search_key(self.name)
        experiment = self.run.mlflow.experiment
        return f"{MLFLOW}/{mlflow_ui.view_address(experiment, key, charts=True)}"

    @property
    def seconds(self) -> float:
        """The training time of all trials and final fits together."""
        return self.run.search_seconds + self.run.fit_seconds

    @cached_property
    def pictures(self) -> list[Picture]:
        """The figures in the folder of the study."""
        return figures.study_pictures(self.study.folder)


def read_result(study: Study, problems: list[str]) -> StudyResult | None:
    """Return the result of a study; if it has none, add a problem and return None."""
    folder = study.folder
    command = f"ftml stage experiment {study.dataset.name}"
    try:
        result = StudyResult(
            study=study,
            metrics=load_metrics(folder),
            run=load_run_metadata(folder),
            best=load_best(folder),
            trials=load_trials(study),
            fits=pd.read_parquet(folder / "fits.parquet"),
        )
    except FileNotFoundError as error:
        missing = Path(error.filename or "").name
        what = f"has no {missing}" if folder.exists() else "is not there"
        problems.append(f"{folder} {what}; make it with: {command}")
        return None
    except (ValueError, KeyError, TypeError, YAMLError) as error:
        problems.append(f"{folder} is damaged ({error}); make it again with: {command}")
        return None
    if (metric := result.metrics.metric) != study.dataset.metric:
        problems.append(
            f"{folder} is compared by {metric}, not by {study.dataset.metric} "
            f"as in params.yaml; make it again with: {command}"
        )
        return None
    return result


def _join_distinct(texts: Sequence[str]) -> str:
    """Return texts joined by commas, or one text if all are equal."""
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
