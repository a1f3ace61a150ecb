"""Reading params.yaml: datasets, experiments and claims, all problems at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftml.config import nearest, problems
from ftml.evidence import claims
from ftml.tasks import task
from pipelines.common.names import name_errors, shown, without_wrong_names
from pipelines.common.redaction import has_password
from pipelines.params.base import Schema
from pipelines.params.claims import ClaimsSchema
from pipelines.params.kinds import KIND_OF_STAGE, DataKind
from pipelines.params.passed_checks import PassedChecks
from pipelines.params.plan import Dataset, Plan, Study, domain_name
from pipelines.params.read_study import data_kinds, read_study

__all__ = [
    "PARAMS",
    "Dataset",
    "ParamsError",
    "Plan",
    "Study",
    "data_kinds",
    "domain_name",
    "read_params",
]

PARAMS = Path("params.yaml")


class ParamsError(ValueError):
    """Every problem of a params file, a line each."""


class Params(Schema):
    """The whole of params.yaml."""

    datasets: dict[str, dict[str, dict[str, Any]]]
    experiments: dict[str, dict[str, dict[str, Any] | None]]
    claims: dict[str, ClaimsSchema] = {}


def read_params(path: Path = PARAMS) -> Plan:
    """Return the checked content of a params file.

    Raises ParamsError, which lists every problem of the file.
    """
    passed = PassedChecks(path)
    raw = _load(path, passed)
    found = name_errors(raw) + _passwords(raw.get("datasets"), "datasets")
    raw = without_wrong_names(raw)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        found += problems(error, where="", known=Params.model_fields)
        params = _well_formed(raw)
    found += _unknown_chapters(raw.get("claims"))
    datasets = _read_datasets(params, found)
    experiments = _read_experiments(params, datasets, found, passed)
    passed.save()
    if found:
        raise ParamsError(_listed(path, found))
    read = {name: dataset for name, dataset in datasets.items() if dataset}
    return Plan(read, experiments, params.claims)


def _passwords(section: Any, where: str) -> list[str]:
    """Return a line for each address with a password in a section, at any depth."""
    if isinstance(section, dict):
        inner: list[tuple[Any, Any]] = list(section.items())
    elif isinstance(section, list):
        inner = list(enumerate(section, start=1))
    elif isinstance(section, str) and has_password(section):
        return [
            f"{where}: contains a user or a password, which git, MLflow and the report "
            "would show; download the file and use file:"
        ]
    else:
        return []
    return [
        line
        for key, each in inner
        for line in _passwords(each, f"{where}.{shown(str(key))}")
    ]


def _load(path: Path, passed: PassedChecks) -> dict[Any, Any]:
    """Return the mapping in a YAML file."""
    try:
        raw = passed.load(path)
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: no such file; run from the project's root"
        ) from None
    except ValueError as error:
        raise ParamsError(str(error)) from None
    if not isinstance(raw, dict):
        got = "an empty file" if raw is None else f"a {type(raw).__name__}"
        raise ParamsError(f"{path}: expected datasets: and experiments:, got {got}")
    return raw


def _read_experiments(
    params: Params,
    datasets: Mapping[str, Dataset | None],
    found: list[str],
    passed: PassedChecks,
) -> dict[str, tuple[Study, ...]]:
    """Return the studies of each dataset; their problems are added to `found`."""
    found += [
        f"experiments.{name}: unknown dataset{nearest(name, datasets)}"
        for name in params.experiments
        if name not in datasets
    ]
    experiments = {
        name: tuple(
            study
            for key, section in studies.items()
            if (study := read_study(key, section or {}, name, datasets, found, passed))
        )
        for name, studies in params.experiments.items()
    }
    for name, studies in params.experiments.items():
        if dataset := datasets.get(name):
            found += _unknown_baseline(dataset, studies)
    return experiments


def _unknown_baseline(dataset: Dataset, studies: Collection[str]) -> list[str]:
    """Return a line if the baseline of a dataset is none of its studies."""
    baseline = dataset.section.baseline
    if not baseline or baseline in studies:
        return []
    where = f"datasets.{dataset.stage}.{dataset.name}.baseline"
    known = nearest(baseline, studies)
    return [f"{where}: no study {baseline!r} of this dataset{known}"]


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


def _listed(path: Path, found: list[str]) -> str:
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    return "\n  ".join([f"{path}: {count}", *found])
