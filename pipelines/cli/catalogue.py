"""Descriptions of the families, read from their modules."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftml
from ftml.config import DISTRIBUTIONS, Distribution, FamilyConfig, nearest, search_space
from ftml.core import Family, families, family
from ftml.tasks import tasks
from pipelines.cli.terminal import table

if TYPE_CHECKING:
    from rich.table import Table

    from pipelines.params.read import Dataset


@dataclass(frozen=True)
class Outline:
    """The description of a family, read from its source without importing it."""

    name: str
    chapter: str
    task: str
    title: str
    "the first sentence of its docstring"

    source: str


def outlines(*, task: str | None = None, chapter: str | None = None) -> list[Outline]:
    """Return all families, or those of a task or chapter, sorted by chapter and name.

    Raises ValueError for an unknown task or chapter.
    """
    chapters = sorted(set(families().values()))
    for what, value, known in (
        ("task", task, tasks()),
        ("chapter", chapter, chapters),
    ):
        if value is not None and value not in known:
            raise ValueError(f"unknown {what} {value!r}{nearest(value, known)}")
    found = [outline(name) for name in families()]
    return sorted(
        (
            each
            for each in found
            if task in (None, each.task) and chapter in (None, each.chapter)
        ),
        key=lambda each: (each.chapter, each.name),
    )


def outline(name: str) -> Outline:
    """Return the outline of a family.

    The module is parsed, not imported, because importing torch takes seconds.
    """
    tree = ast.parse(source_file(name).read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    (task,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [target.id for target in node.targets if isinstance(target, ast.Name)]
        == ["TASK"]
    )
    return Outline(
        name=name,
        chapter=families()[name],
        task=str(task),
        title=title(text),
        source=" ".join(text.partition("Source:")[2].split()),
    )


def source_file(name: str) -> Path:
    """Return the source file of a family."""
    folder = Path(ftml.__file__).parent / "families"
    return folder / families()[name] / f"{name}.py"


def title(text: str) -> str:
    """Return the first sentence of a docstring's first paragraph."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


def families_table(found: Sequence[Outline]) -> Table:
    """Return the table that `ftml families` prints."""
    return table(
        ["family", "task", "chapter", "what it is", "source"],
        [[e.name, e.task, e.chapter, e.title, e.source] for e in found],
        unbroken=3,
    )


@dataclass(frozen=True)
class Setting:
    """A field of a configuration, as texts for a reader."""

    name: str
    default: str
    allowed: str
    search: str
    about: str


def settings(config: type[FamilyConfig]) -> list[Setting]:
    """Return the fields of a configuration: default, allowed values, search space."""
    properties = config.model_json_schema()["properties"]
    space = search_space(config)
    return [
        Setting(
            name=name,
            default=_json(each["default"]) if "default" in each else "required",
            allowed=allowed(each),
            search=written(space[name]) if name in space else "",
            about=" ".join(each.get("description", "").split()),
        )
        for name, each in properties.items()
    ]


def allowed(schema: Mapping[str, Any]) -> str:
    """Return what a JSON schema allows as a text: `number > 0`, `adam, sgd`, ..."""
    if "anyOf" in schema:
        return " or ".join(allowed(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(_json, schema["enum"]))
    if "const" in schema:
        return _json(schema["const"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(allowed(each) for each in schema['prefixItems'])}]"
        return f"list of: {allowed(schema.get('items', {}))}{_bounds(schema)}"
    return f"{TYPES[schema.get('type', 'any')]}{_bounds(schema)}"


TYPES = {
    "any": "any value",
    "boolean": "true, false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "keys with values",
    "string": "text",
}
BOUNDS = {
    "exclusiveMinimum": " > ",
    "minimum": " ≥ ",
    "exclusiveMaximum": " < ",
    "maximum": " ≤ ",
    "multipleOf": " multiple of ",
    "minItems": ", length ≥ ",
    "maxItems": ", length ≤ ",
}


def _bounds(schema: Mapping[str, Any]) -> str:
    parts = [f"{sign}{_bound(schema[k])}" for k, sign in BOUNDS.items() if k in schema]
    return ",".join(parts).replace(",,", ",")


def _bound(value: float) -> str:
    return "2^63" if value == 2**63 else f"{value:g}"


def written(distribution: Distribution) -> str:
    """Return a distribution in the syntax of params.yaml."""
    values = [_json(value) for value in distribution.ends()]
    (name,) = (
        name for name, kind in DISTRIBUTIONS.items() if kind is type(distribution)
    )
    return f"{name}: [{', '.join(values)}]"


def _json(value: Any) -> str:
    """Return a value in the syntax of YAML; text has no quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def docstring(kind: Family) -> str:
    """Return the docstring of a family's module."""
    return inspect.getdoc(importlib.import_module(kind.Config.__module__)) or ""


def page(name: str) -> list[Table | str]:
    """Return what `ftml show` prints about a family."""
    kind = family(name)
    rows = [
        [e.name, e.default, e.allowed, e.search, e.about] for e in settings(kind.Config)
    ]
    columns = ["config", "default", "allowed", "search", "meaning"]
    return [
        f"{name}: task {kind.task}, chapter {kind.chapter}\n",
        docstring(kind),
        table(columns, rows),
        "\n".join(_data(kind)),
    ]


def _data(kind: Family) -> list[str]:
    """Return lines about the data kinds, datasets and studies of a family."""
    from pipelines.params.read import PARAMS, data_kinds, read_params

    kinds = " or ".join(each.__name__ for each in data_kinds(kind))
    two = f", of {kind.n_classes} classes" if kind.n_classes else ""
    lines = [f"Trains on: {kinds}{two}"]
    if not PARAMS.exists():
        return [*lines, f"Datasets: no {PARAMS} in this folder"]
    plan = read_params()
    lines.append(f"Datasets of {PARAMS}: {_listed(datasets_of(kind, plan.datasets))}")
    studies = [
        f"{dataset}/{study.name}"
        for dataset, each in plan.experiments.items()
        for study in each
        if study.family_name == kind.name
    ]
    return [*lines, f"Studies of {PARAMS}: {_listed(studies)}"]


def datasets_of(kind: Family, datasets: Mapping[str, Dataset]) -> list[str]:
    """Return the names of the datasets of a family's task and data kind."""
    from pipelines.params.read import data_kinds

    return [
        name
        for name, dataset in datasets.items()
        if dataset.task == kind.task and dataset.kind.data in data_kinds(kind)
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
