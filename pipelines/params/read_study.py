"""Reading the section of one study: its family, configuration and search space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ftml.config import (
    Grid,
    input_files,
    nearest,
    problems,
    study_problems,
)
from ftml.core import Family, families, family
from ftml.tasks import task
from pipelines.params.passed_checks import PassedChecks
from pipelines.params.plan import Dataset, Study
from pipelines.params.study import MAX_CONFIGURATIONS, StudySchema

RENAMED = {"pack": "batch_trials"}
"Keys of a study that have a new name."


def read_study(
    name: str,
    written: dict[str, Any],
    dataset_name: str,
    datasets: Mapping[str, Dataset | None],
    found: list[str],
    passed: PassedChecks,
) -> Study | None:
    """Return a study, or None when it has problems, which are added to `found`.

    passed: the studies whose check need not be repeated; this study is added to them.
    """
    dataset = datasets.get(dataset_name)
    about = (name, written, dataset.task, dataset.stage) if dataset else ()
    if dataset and passed.has(*about):
        return Study(name, dataset, StudySchema.model_validate(written))
    study = _check_study(name, written, dataset_name, dataset, found)
    if study:
        passed.add(*about, files=input_files(study.config).values())
    return study


def _check_study(
    name: str,
    written: dict[str, Any],
    dataset_name: str,
    dataset: Dataset | None,
    found: list[str],
) -> Study | None:
    """Do the work of `read_study`, for a study that has not passed its check."""
    before = len(found)
    where = f"experiments.{dataset_name}.{name}"
    section = StudySchema()
    for old, new in RENAMED.items():
        if old in written:
            found.append(f"{where}.{old}: renamed to {new}")
            written = {key: value for key, value in written.items() if key != old}
    try:
        section = StudySchema.model_validate(written)
    except ValidationError as error:
        found += problems(error, where=where, known=StudySchema.model_fields)
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
    study = Study(name, dataset, section)
    found += [f"{where}.{each}" for each in _unusable(study)]
    return study if len(found) == before else None


def _unusable(study: Study) -> list[str]:
    """Return what a study cannot do: trials without a search space, missing files."""
    found = []
    trials, space = study.section.trials, study.space
    if trials > 1 and all(isinstance(each, Grid) for each in space.values()):
        why = "a grid is tried once" if space else "nothing to search"
        found.append(f"trials: {trials} trials, but {why}")
    if (number := study.n_configurations) > MAX_CONFIGURATIONS:
        found.append(
            f"trials: expected at most {MAX_CONFIGURATIONS} configurations, got "
            f"{number}: {trials} at each point of the grids"
        )
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
