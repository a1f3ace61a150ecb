"""The content of params.yaml, checked: datasets, studies and the settings of claims."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ftml.config import (
    Distribution,
    FamilyConfig,
    Grid,
    read_config,
    read_distribution,
    search_space,
)
from ftml.core import Family, family
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
    """A study, checked: its family, its fixed configuration and its search space.

    The module of the family is imported when it is first asked for (`family`, `config`,
    `space`): importing those of all studies takes seconds.
    """

    name: str
    dataset: Dataset
    section: StudySchema

    @property
    def family_name(self) -> str:
        return self.section.family or self.name

    @cached_property
    def family(self) -> Family:
        return family(self.family_name)

    @cached_property
    def config(self) -> FamilyConfig:
        """The configuration with the values that the section fixes."""
        return read_config(self.family.Config, self.section.config)

    @cached_property
    def space(self) -> Mapping[str, Distribution]:
        """The family's distributions, and those of the section, by field."""
        return _space(self.family, self.section.config, self.section.search)

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


def _space(
    kind: Family, config: Mapping[str, Any], search: Mapping[str, Any]
) -> dict[str, Distribution]:
    """Return the search space: the family's distributions, and those of the study."""
    own = search_space(kind.Config).items()
    space = {key: each for key, each in own if key not in {*config, *search}}
    written = {
        key: read_distribution(value)
        for key, value in search.items()
        if value is not None
    }
    return {
        key: (space | written)[key]
        for key in kind.Config.model_fields
        if key in space | written
    }


@dataclass(frozen=True)
class Plan:
    """The content of params.yaml, checked."""

    datasets: Mapping[str, Dataset]
    experiments: Mapping[str, tuple[Study, ...]]
    claims: Mapping[str, ClaimsSchema]
