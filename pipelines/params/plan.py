"""The content of params.yaml, checked: datasets, studies and the settings of claims."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ftml.config import Distribution, FamilyConfig, Grid
from ftml.core import Family
from ftml.tasks import task
from pipelines.params.base import DatasetSchema
from pipelines.params.claims import ClaimsSchema
from pipelines.params.kinds import DataKind
from pipelines.params.study import DEFAULT_BATCH_TRIALS, StudySchema


@dataclass(frozen=True)
class Dataset:
    """A section of `datasets`, checked: its name, data kind and task."""

    name: str
    kind: DataKind
    task: str
    section: DatasetSchema

    @property
    def stage(self) -> str:
        """The stage of dvc.yaml that prepares the dataset."""
        return self.kind.stage

    @property
    def folder(self) -> Path:
        return Path("data") / self.name

    @property
    def metric(self) -> str:
        return self.section.metric or next(iter(task(self.task).METRICS))

    @property
    def mode(self) -> str:
        return task(self.task).METRICS[self.metric]

    @property
    def ties(self) -> dict[str, str]:
        """The other metrics of the task with their modes, in the order in which they
        decide between equal values of the metric.
        """
        metrics: dict[str, str] = task(self.task).METRICS
        return {name: mode for name, mode in metrics.items() if name != self.metric}


@dataclass(frozen=True)
class Study:
    """A study, checked: its family, its fixed configuration and its search space."""

    name: str
    dataset: Dataset
    family: Family
    section: StudySchema
    config: FamilyConfig
    space: Mapping[str, Distribution]

    @property
    def folder(self) -> Path:
        return Path("experiments") / self.dataset.name / self.name

    @property
    def batch_trials(self) -> int:
        """How many trials a worker trains at once."""
        return self.section.batch_trials or (
            DEFAULT_BATCH_TRIALS if self.family.train_many else 1
        )

    @property
    def n_configurations(self) -> int:
        """How many configurations the search tries: `trials` of them, each at every
        point of the grids.
        """
        grids = [each for each in self.space.values() if isinstance(each, Grid)]
        return self.section.trials * math.prod(len(grid.options) for grid in grids)

    @property
    def test_domains(self) -> list[str]:
        """The names of the test domains, or `EACH` if each domain is one in turn."""
        return [domain_name(each) for each in self.section.test_domains or []]


def domain_name(value: object) -> str:
    """Return the name of a domain in data and params: 75.0 and 75 are both "75".

    Different numbers have different names. A date at midnight is named without a time.
    """
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value).removesuffix(" 00:00:00")


@dataclass(frozen=True)
class Plan:
    """The content of params.yaml, checked."""

    datasets: Mapping[str, Dataset]
    experiments: Mapping[str, tuple[Study, ...]]
    claims: Mapping[str, ClaimsSchema]
