"""The content of the report's dataset pages: the results of all studies of a dataset.

`read_pages` reads the folders of `experiments/`, and the templates read the properties
of `DatasetPage` and `StudyResult`. Figures are made in `pipelines.report.drawings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.tasks import task
from pipelines.common import figures, formatting
from pipelines.common.estimate import Estimate
from pipelines.common.figures import Picture
from pipelines.params.read import Dataset, Plan, Study
from pipelines.study.comparison import (
    MIN_SEEDS,
    Difference,
    compare,
    display_table,
    paired_difference,
    reason_for_no_champion,
)
from pipelines.study.failures import WORKING_ROOT, read_failure
from pipelines.study.metrics import (
    ChosenConfiguration,
    RunMetadata,
    StudyMetrics,
    load_metrics,
    load_run_metadata,
)
from pipelines.study.results import load_trials
from pipelines.tracking import mlflow_ui, views

MLFLOW = "http://127.0.0.1:5000"
"Address at which `make ui` serves MLflow."

Value = TypeVar("Value")


@dataclass(frozen=True)
class StudyResult:
    """A study of params.yaml and the content of its result files."""

    study: Study
    metrics: StudyMetrics
    run: RunMetadata
    best: Mapping[str, object]
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
    def fixed_values(self) -> dict[str, object]:
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


@dataclass(frozen=True)
class DatasetPage:
    """The content of the page of one dataset."""

    dataset: Dataset
    results: Sequence[StudyResult]
    "results of all studies, sorted by the test metric, the best one first"

    best: StudyResult
    "study that is best in validation"

    baseline: StudyResult
    "study with which the other studies are compared"

    failed: Mapping[str, str]
    "why each study without a result has failed, by its name"

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def n_studies(self) -> int:
        return len(self.results)

    @property
    def model(self) -> str | None:
        """The URI of the champion in MLflow; None if no study can be the champion."""
        reason = reason_for_no_champion([result.study for result in self.results])
        return None if reason else f"models:/{self.name}@champion"

    @property
    def experiment_link(self) -> str:
        """The page of the dataset's studies in MLflow, the best one first."""
        experiment = self.best.run.mlflow.experiment
        return f"{MLFLOW}/{mlflow_ui.view_address(experiment, views.BEST)}"

    @property
    def significance(self) -> str:
        """The paired differences of the best study to every other study, in words."""
        if self.n_studies == 1:
            return "the only study"
        n_equal = sum(result.valid == self.best.valid for result in self.results)
        others = formatting.counted(n_equal - 1, "other")
        tie = f"; no better in validation than {others}" if n_equal > 1 else ""
        return self._significance_of_differences() + tie

    def _significance_of_differences(self) -> str:
        if self.differing_domains:
            return "not compared: tested on different domains"
        rivals = [result for result in self.results if result is not self.best]
        found = [
            paired_difference(self.best.metrics, rival.metrics) for rival in rivals
        ]
        known = [each for each in found if each]
        if not known:
            if self.few_seeds:
                return f"not tested: fewer than {MIN_SEEDS} seeds"
            return "not tested: the same for every seed"
        sign = 1 if self.dataset.mode == "max" else -1
        counts = {
            "better than": sum(d.excludes_zero and sign * d.mean > 0 for d in known),
            "worse than": sum(d.excludes_zero and sign * d.mean < 0 for d in known),
            "no difference shown to": sum(not d.excludes_zero for d in known),
            "not tested against": len(found) - len(known),
        }
        parts = [(what, count) for what, count in counts.items() if count]
        if len(parts) == 1:
            others = "the other" if len(rivals) == 1 else f"all {len(rivals)} others"
            return f"{parts[0][0]} {others}"
        listed = ", ".join(f"{what} {count}" for what, count in parts)
        return f"{listed} of {len(rivals)} others"

    @property
    def modes(self) -> Mapping[str, str]:
        """The mode, `min` or `max`, of each metric of the task."""
        found: Mapping[str, str] = task(self.dataset.task).METRICS
        return found

    @property
    def other_metrics(self) -> list[str]:
        """The test metrics of the task that any study has, except the dataset's own."""
        found = {name for r in self.results for name in over_domains(r.metrics.test)}
        return [
            name for name in self.modes if name in found and name != self.dataset.metric
        ]

    @property
    def domain_metrics(self) -> list[str]:
        """The test metrics of single domains, such as `accuracy/75`; those of the
        dataset's own metric are first.
        """
        names = dict.fromkeys(name for r in self.results for name in r.metrics.test)
        order = [self.dataset.metric, *self.modes]
        return sorted(
            (name for name in names if "/" in name),
            key=lambda name: order.index(name.partition("/")[0]),
        )

    @property
    def differing_domains(self) -> bool:
        """Whether the studies have different test domains."""
        return len({tuple(sorted(r.study.test_domains)) for r in self.results}) > 1

    @property
    def few_seeds(self) -> bool:
        """Whether any study has too few seeds for a test of its differences."""
        return any(len(r.metrics.seeds) < MIN_SEEDS for r in self.results)

    @property
    def without_variance(self) -> bool:
        """Whether several studies have one test value for all of their seeds."""
        values = [r.metrics.test[self.dataset.metric].values for r in self.results]
        return sum(len(v) > 1 and len(set(v)) == 1 for v in values) > 1

    @property
    def has_differences(self) -> bool:
        """Whether any study has a paired difference to the baseline."""
        return any(self.difference(result) for result in self.results)

    def difference(self, result: StudyResult) -> Difference | None:
        """Return the paired difference of a study to the baseline, if it is known."""
        if result is self.baseline or self.differing_domains:
            return None
        return paired_difference(result.metrics, self.baseline.metrics)

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """The table of `pipelines.study.comparison.compare`."""
        metrics = [result.metrics for result in self.results]
        return compare(metrics, baseline=self.baseline.name)

    @property
    def selections(self) -> pd.DataFrame | None:
        """The comparison table for display; None if there is one model selection."""
        several = self.comparison["selection"].nunique() > 1
        return display_table(self.comparison) if several else None


def read_pages(plan: Plan) -> list[DatasetPage]:
    """Return the pages of all datasets. A study that has failed is on the page of its
    dataset with its reason, without a result of an earlier run.

    Raises ValueError with one line for each study whose results are absent, damaged,
    or compared by another metric than that of params.yaml.
    """
    problems: list[str] = []
    pages = []
    for name, studies in plan.experiments.items():
        failed = {each.name: reason for each in studies if (reason := _failure(each))}
        sound = [study for study in studies if study.name not in failed]
        results = [result for study in sound if (result := _read(study, problems))]
        if results and not problems:
            pages.append(_page(plan.datasets[name], results, failed))
        elif failed and not results:
            listed = "; ".join(failed.values())
            problems.append(f"{name}: every study has failed: {listed}")
    if problems:
        raise ValueError("\n  ".join(["not every study has a result", *problems]))
    return pages


def _failure(study: Study) -> str:
    """Return why a study has failed the last time that it ran; "" if it has not."""
    folder = WORKING_ROOT / study.dataset.name / study.name
    reason = read_failure(folder).removeprefix(f"{study.name}: ")
    return " ".join(reason.split())


def _read(study: Study, problems: list[str]) -> StudyResult | None:
    """Return the result of a study; if it has none, add a problem and return None."""
    folder = study.folder
    command = f"ftml stage experiment {study.dataset.name}"
    try:
        result = StudyResult(
            study=study,
            metrics=load_metrics(folder),
            run=load_run_metadata(folder),
            best=YAML(typ="safe", pure=True).load(folder / "best.yaml")[0]["config"],
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


def _page(
    dataset: Dataset, results: Sequence[StudyResult], failed: Mapping[str, str]
) -> DatasetPage:
    def cost(value: float) -> float:
        if math.isnan(value):
            return math.inf
        return value if dataset.mode == "min" else -value

    ranked = sorted(results, key=lambda result: cost(result.test.mean))
    best = min(results, key=lambda result: cost(result.valid))
    named = {result.name: result for result in results}
    baseline = named.get(dataset.section.baseline or "", best)
    return DatasetPage(dataset, ranked, best, baseline, failed)


def _join_distinct(texts: Sequence[str]) -> str:
    """Return texts joined by commas, or one text if all are equal."""
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def over_domains(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the metrics that are not of a single domain."""
    return {name: value for name, value in values.items() if "/" not in name}
