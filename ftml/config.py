"""Configurations of families, the distributions that search them, and their errors.

A `Config` is a frozen pydantic model. The distribution from which a search samples a
field is written on the field's line: `alpha: Annotated[float, Field(ge=0),
LogUniform(1e-6, 1e3)] = 1.0`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ftml.distributions import (
    DISTRIBUTIONS,
    FORMS,
    Choice,
    Distribution,
    Grid,
    Integers,
    LogUniform,
    Uniform,
    log_grid,
)

__all__ = [
    "DISTRIBUTIONS",
    "FORMS",
    "Choice",
    "Distribution",
    "FamilyConfig",
    "Grid",
    "InputFile",
    "Integers",
    "LogUniform",
    "StrictModel",
    "Uniform",
    "input_files",
    "log_grid",
    "nearest",
    "problems",
    "read_config",
    "read_distribution",
    "search_space",
    "study_problems",
]


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys, infinite numbers and values of another
    type; the text below a field is its description.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class FamilyConfig(StrictModel):
    """The fields that every configuration has."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    "seed of every generator that training uses; 0 is a seed like any other"


@dataclass(frozen=True)
class InputFile:
    """Marks a field that names an input file: `Annotated[str | None, InputFile()]`.

    A study runs again when the content of the file changes.
    """


def input_files(config: FamilyConfig) -> dict[str, Path]:
    """Return the path of each field of a configuration that names a file."""
    return {
        name: Path(value)
        for name, field in type(config).model_fields.items()
        if any(isinstance(mark, InputFile) for mark in field.metadata)
        and (value := getattr(config, name)) is not None
    }


def search_space(config: type[FamilyConfig]) -> dict[str, Distribution]:
    """Return the distribution of each field that a search varies by default."""
    return {
        name: mark
        for name, field in config.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Distribution)
    }


def read_distribution(value: Any) -> Distribution:
    """Return the distribution that params.yaml writes as `{log_uniform: [low, high]}`.

    Raises ValueError with the expected form and the given value.
    """
    expected = "one of " + ", ".join(f"{{{name}: [...]}}" for name in DISTRIBUTIONS)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(f"expected {expected}, got {_shown(value)}")
    ((name, arguments),) = value.items()
    if name not in DISTRIBUTIONS:
        raise ValueError(f"unknown distribution {name!r}{nearest(name, DISTRIBUTIONS)}")
    if not isinstance(arguments, list):
        raise ValueError(f"{name} expects a list, got {_shown(arguments)}")
    form = FORMS.get(name, ["low", "high"])
    if form and (
        len(arguments) != len(form)
        or any(isinstance(a, bool) or not isinstance(a, int | float) for a in arguments)
    ):
        raise ValueError(f"{name} expects [{', '.join(form)}], got {_shown(arguments)}")
    return DISTRIBUTIONS[name](*arguments)


def read_config(config: type[FamilyConfig], values: Mapping[str, Any]) -> FamilyConfig:
    """Return the configuration with these values, read as JSON (a list becomes a
    tuple).

    Raises pydantic.ValidationError, which `problems` turns into sentences.
    """
    return config.model_validate_json(json.dumps(dict(values), default=str))


def study_problems(
    config: type[FamilyConfig],
    values: Mapping[str, Any],
    search: Mapping[str, Any],
    *,
    where: str,
) -> list[str]:
    """Return every problem of the sections `config` and `search` of a study, as
    sentences.

    The ends of each distribution must be valid values of their field, so that no trial
    can start with a configuration that its family refuses. `where` is the study's
    dotted key.
    """
    found: list[str] = []
    try:
        read_config(config, values)
        fixed = values
    except ValidationError as error:
        found += problems(error, where=f"{where}.config", known=config.model_fields)
        fixed = {}
    for name, written in search.items():
        key = f"{where}.search.{name}"
        if name not in config.model_fields or name == "seed":
            known = [field for field in config.model_fields if field != "seed"]
            found.append(f"{key}: unknown key{nearest(name, known)}")
            continue
        if name in values:
            found.append(f"{key}: also fixed under config; keep one of the two")
        try:
            ends = read_distribution(written).ends()
        except ValueError as error:
            found.append(f"{key}: {error}")
            continue
        for end in ends:
            try:
                read_config(config, {**fixed, name: end})
            except ValidationError as error:
                found += [
                    line.replace(f"{where}.search.{name}.{name}", key)
                    for line in problems(error, where=key, known=config.model_fields)
                ]
    return found


def problems(
    error: ValidationError, *, where: str, known: Mapping[str, FieldInfo]
) -> list[str]:
    """Return each fault of a validation error: dotted key, what was expected, what was
    given.

    `known` are the fields of the model that raised the error; a nested section has its
    own.
    """
    lines: list[str] = []
    unions: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False):
        *above, last = fault["loc"] or ("",)
        above = [part for part in above if not str(part).startswith(BRANCHES)]
        parent = ".".join([where, *map(str, above)]).strip(".")
        key, got = f"{parent}.{last}".strip("."), _shown(fault["input"])
        if fault["type"] == "extra_forbidden":
            lines.append(
                f"{key}: unknown key{nearest(str(last), _fields(known, above))}"
            )
        elif fault["type"] == "missing":
            lines.append(f"{key}: missing")
        elif last == "[key]":
            lines.append(f"{parent}: expected a name, got {got}; put it in quotes")
        elif fault["type"] == "value_error" and (
            _expected(fault["msg"]).split(":")[0] in _fields(known, [*above, last])
        ):  # the message begins with the field of the section that it is about
            lines.append(f"{key}.{_expected(fault['msg'])}")
        elif last in ("str", "int", "float", "bool") or str(last).startswith(BRANCHES):
            unions.setdefault(f"{parent}: @, got {got}", []).append(
                _expected(fault["msg"])
            )
        else:
            lines.append(f"{key}: {_expected(fault['msg'])}, got {got}")
    merged = [
        line.replace("@", " or ".join(each).replace("or expected", "or"), 1)
        for line, each in unions.items()
    ]
    return lines + merged


BRANCHES = ("list[", "dict[", "literal[")
"How pydantic names branches of a union, which are parts of a location but no keys."


def _fields(
    known: Mapping[str, FieldInfo], above: Sequence[str | int]
) -> Iterable[str]:
    """Return the names of the fields of the section at this position in a model."""
    by_name = False  # whether the part is the name of a section, not a field
    for part in above:
        if by_name:
            by_name = False
            continue
        annotation = known[str(part)].annotation if part in known else None
        by_name = get_origin(annotation) is dict
        blocks = [
            a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields")
        ]
        known = blocks[0].model_fields if blocks else {}
    return known


def _expected(message: str) -> str:
    """Return what pydantic expected, in the words of a params file instead of
    Python's.
    """
    message = re.sub(
        r"a valid dictionary( or instance of \w+)?", "keys with values", message
    )
    message = re.sub(r" after validation, not \d+", "", message)
    message = message.replace(
        "String should match pattern", "expected text that matches"
    )
    message = re.sub(r"^(Value error, )", "", message)
    return re.sub(r"^(Input should be|\w+ should have)", "expected", message)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; nearest: <name>`, or `; known: <all names>` if no name is close."""
    names = [str(each) for each in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"; nearest: {close[0]}" if close else f"; known: {', '.join(names)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
