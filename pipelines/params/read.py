"""Reading params.yaml: datasets, experiments and claims, all problems at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.config import (
    Distribution,
    FamilyConfig,
    Grid,
    input_files,
    nearest,
    problems,
    read_config,
    read_distribution,
    search_space,
    study_problems,
)
from ftml.core import Family, families, family
from ftml.evidence import claims
from ftml.tasks import task
from pipelines.params.base import DatasetSchema, Schema
from pipelines.params.claims import ClaimsSchema
from pipelines.params.kinds import KIND_OF_STAGE, DataKind
from pipelines.params.study import DEFAULT_BATCH_TRIALS, StudySchema

PARAMS = Path("params.yaml")


RENAMED = {"pack": "batch_trials"}
"Keys of a study that have a new name."


class ParamsError(ValueError):
    """Every problem of a params file, a line each."""


class Params(Schema):
    """The whole of params.yaml."""

    datasets: dict[str, dict[str, dict[str, Any]]]
    experiments: dict[str, dict[str, dict[str, Any] | None]]
    claims: dict[str, ClaimsSchema] = {}


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


def read_params(path: Path = PARAMS) -> Plan:
    """Return the checked content of a params file.

    Raises ParamsError, which lists every problem of the file.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: no such file; run from the project's root"
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).partition(" To suppress this check")[0]
        raise ParamsError(f"{path}: not valid YAML: {reason}") from None
    if not isinstance(raw, dict):
        got = "an empty file" if raw is None else f"a {type(raw).__name__}"
        raise ParamsError(f"{path}: expected datasets: and experiments:, got {got}")
    found: list[str] = []
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        found = problems(error, where="", known=Params.model_fields)
        params = _well_formed(raw)
    found += _unknown_chapters(raw.get("claims"))
    datasets = _read_datasets(params, found)
    found += [
        f"experiments.{name}: unknown dataset{nearest(name, datasets)}"
        for name in params.experiments
        if name not in datasets
    ]
    experiments = {
        name: tuple(
            study
            for key, section in studies.items()
            if (study := _read_study(key, section or {}, name, datasets, found))
        )
        for name, studies in params.experiments.items()
    }
    for name, studies in params.experiments.items():
        dataset = datasets.get(name)
        if (
            dataset
            and (baseline := dataset.section.baseline)
            and baseline not in studies
        ):
            where = f"datasets.{dataset.stage}.{name}.baseline"
            known = nearest(baseline, studies)
            found.append(f"{where}: no study {baseline!r} of this dataset{known}")
    if found:
        raise ParamsError(_listed(path, found))
    read = {name: dataset for name, dataset in datasets.items() if dataset}
    return Plan(read, experiments, params.claims)


def _unknown_chapters(section: Any) -> list[str]:
    """Return a line for each key of `claims` that is not a chapter."""
    chapters = sorted(set(claims().values()))
    return [
        f"claims.{name}: unknown chapter{nearest(name, chapters)}"
        + ("; seed and budget are keys of a chapter" * (name in ("seed", "budget")))
        for name in (section if isinstance(section, dict) else ())
        if name not in chapters
    ]


def _well_formed(raw: dict[Any, Any]) -> Params:
    """Return the readable part of a faulty file, so that all problems are reported."""
    parts: dict[str, Any] = {
        part: {
            group: {
                name: section
                for name, section in sections.items()
                if isinstance(name, str) and isinstance(section, dict)
            }
            for group, sections in groups.items()
            if isinstance(group, str) and isinstance(sections, dict)
        }
        for part in ("datasets", "experiments")
        if isinstance(groups := raw.get(part, {}), dict)
    }
    return Params.model_construct(**{"datasets": {}, "experiments": {}, **parts})


def _read_datasets(params: Params, found: list[str]) -> dict[str, Dataset | None]:
    """Return every dataset, or None for one with problems; these go into `found`."""
    datasets: dict[str, Dataset | None] = {}
    for stage, sections in params.datasets.items():
        if stage not in KIND_OF_STAGE:
            known = nearest(stage, KIND_OF_STAGE)
            found.append(f"datasets.{stage}: unknown key{known}")
            continue
        kind = KIND_OF_STAGE[stage]
        for name, written in sections.items():
            where = f"datasets.{stage}.{name}"
            if name == "claims":
                found.append(
                    f"{where}: the MLflow experiment of the claims has this name"
                )
                continue
            if name in datasets:
                found.append(f"{where}: another stage prepares a dataset of this name")
                continue
            datasets[name] = _read_dataset(name, written, kind, found)
    return datasets


def _read_dataset(
    name: str, written: dict[str, Any], kind: DataKind, found: list[str]
) -> Dataset | None:
    """Return a dataset, or None when it has problems, which are added to `found`."""
    before = len(found)
    where = f"datasets.{kind.stage}.{name}"
    try:
        section = kind.schema.model_validate(written)
    except ValidationError as error:
        found += problems(error, where=where, known=kind.schema.model_fields)
        named = written.get("task") if kind.section_names_task else None
    else:
        named = getattr(section, "task", None)
    if isinstance(named, str) and named not in kind.tasks:
        known = kind.tasks
        found.append(
            f"{where}.task: expected {' or '.join(known)}, got {named!r}"
            f"{nearest(named, known)}"
        )
    if len(found) > before:
        return None
    task_name = named or _only_task(kind)
    metrics = task(task_name).METRICS
    if section.metric and section.metric not in metrics:
        known_metrics = nearest(section.metric, metrics)
        found.append(
            f"{where}.metric: unknown metric {section.metric!r}{known_metrics}"
        )
    else:
        found += [f"{where}.{each}" for each in section.validation_errors()]
    if len(found) > before:
        return None
    return Dataset(name, kind, task_name, section)


def _only_task(kind: DataKind) -> str:
    """Return the task of a data kind whose sections name none."""
    (name,) = kind.tasks
    return name


def _read_study(
    name: str,
    written: dict[str, Any],
    dataset_name: str,
    datasets: Mapping[str, Dataset | None],
    found: list[str],
) -> Study | None:
    """Return a study, or None when it has problems, which are added to `found`."""
    before = len(found)
    where = f"experiments.{dataset_name}.{name}"
    dataset = datasets.get(dataset_name)
    section = StudySchema()
    for old, new in RENAMED.items():
        if old in written:
            found.append(f"{where}.{old}: renamed to {new}")
            written = {key: value for key, value in written.items() if key != old}
    try:
        section = StudySchema.model_validate(written)
    except ValidationError as error:
        found += problems(error, where=where, known=StudySchema.model_fields)
    if name == "comparison":
        found.append(f"{where}: the name of a study cannot be comparison")
    family_name = str(written.get("family") or name)
    if family_name not in families():
        known = nearest(family_name, families())
        found.append(f"{where}: unknown family {family_name!r}{known}")
        return None
    kind = family(family_name)
    if dataset:
        validation_errors = _validation_errors(written, kind, dataset)
        found += [f"{where}{each}" for each in validation_errors]
    if len(set(section.selections)) < len(section.selections):
        found.append(f"{where}.selections: a selection is named twice")
    config, search = (written.get(key) or {} for key in ("config", "search"))
    if not (isinstance(config, dict) and isinstance(search, dict)):
        return None
    found += _search_problems(kind, config, search, where=where)
    if len(found) > before or dataset is None:
        return None
    space = _space(kind, config, search)
    settings = read_config(kind.Config, config)
    study = Study(name, dataset, kind, section, settings, space)
    found += [f"{where}.{each}" for each in _unusable(study)]
    return study if len(found) == before else None


def _unusable(study: Study) -> list[str]:
    """Return what a study cannot do: trials without a search space, missing files."""
    found = []
    trials, space = study.section.trials, study.space
    if trials > 1 and all(isinstance(each, Grid) for each in space.values()):
        why = "a grid is tried once" if space else "nothing to search"
        found.append(f"trials: {trials} trials, but {why}")
    files = input_files(study.config).items()
    return found + [
        f"config.{key}: no file {str(path)!r}"
        for key, path in files
        if not path.is_file()
    ]


def _validation_errors(
    written: Mapping[str, Any], kind: Family, dataset: Dataset
) -> list[str]:
    """Return what a study's section asks of its family or dataset that it lacks."""
    found = []
    if kind.task != dataset.task:
        found.append(
            f": family {kind.name} is for {kind.task}, "
            f"dataset {dataset.name} for {dataset.task}"
        )
    elif (data := dataset.kind.data) not in (known := data_kinds(kind)):
        names = " or ".join(each.__name__ for each in known)
        found.append(
            f": family {kind.name} is trained on {names}, "
            f"dataset {dataset.name} is of the kind {data.__name__}"
        )
    if not kind.train_many and (written.get("batch_trials") or 1) != 1:
        found.append(
            f".batch_trials: family {kind.name} trains one configuration at a time"
        )
    if dataset.stage == "domains" and written.get("test_domains") is None:
        found.append(".test_domains: missing")
    only = {"test_domains": "domains", "selections": "domains"}
    only |= {"cv": "tables", "learning_curve": "tables"}
    found += [
        f".{key}: only for a dataset of {stage}"
        for key, stage in only.items()
        if stage != dataset.stage and written.get(key) is not None
    ]
    return found


def data_kinds(kind: Family) -> tuple[type, ...]:
    """Return the data kinds that a family is trained on."""
    accepted: tuple[type, ...] = task(kind.task).DATA
    return kind.data or accepted[:1]


def _search_problems(
    kind: Family, config: dict[str, Any], search: dict[str, Any], *, where: str
) -> list[str]:
    fields = kind.Config.model_fields
    fixed = [key for key, value in search.items() if value is None]
    found = [
        f"{where}.search.{key}: unknown key{nearest(key, fields)}"
        for key in fixed
        if key not in fields
    ]
    drawn = {key: value for key, value in search.items() if key not in fixed}
    return found + study_problems(kind.Config, config, drawn, where=where)


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


def _listed(path: Path, found: list[str]) -> str:
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    return "\n  ".join([f"{path}: {count}", *found])
