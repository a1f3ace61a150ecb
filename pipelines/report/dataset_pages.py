"""The content of the report's dataset pages: the results of all studies of a dataset.

`read_pages` reads the folders of `experiments/`, and the templates read the properties
of `DatasetPage` and `StudyResult` (`study_result.py`). Figures are made in
`pipelines.report.drawings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import pandas as pd

from ftml.tasks import task
from pipelines.common import formatting
from pipelines.params.read import Dataset, Plan, Study
from pipelines.report.study_result import MLFLOW, StudyResult, read_result
from pipelines.study.comparison import (
    MIN_SEEDS,
    Difference,
    compare,
    display_table,
    paired_difference,
    reason_for_no_champion,
)
from pipelines.study.failures import WORKING_ROOT, read_failure
from pipelines.tracking import mlflow_ui, views

Value = TypeVar("Value")


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
        read = [read_result(study, problems) for study in sound]
        results = [result for result in read if result]
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


def over_domains(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the metrics that are not of a single domain."""
    return {name: value for name, value in values.items() if "/" not in name}
