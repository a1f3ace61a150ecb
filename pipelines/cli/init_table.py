"""Reads the table that `ftml init` is given, with the options that its file needs.

Where a column cannot be read and the message of the reader names one way only, that way
is taken and noted; otherwise the message is the error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.config import problems
from ftml.data.reading import ReadOptions, read_frame
from ftml.data.reading.files import load
from ftml.data.reading.problems import quoted
from pipelines.cli.output import tables_beside
from pipelines.datasets import notes

SAFE_KEYS = {"na_values", "strip", "thousands", "decimal", "dates"}
"Keys of `read:` that are taken from the message of the reader if it names no other."


def read_options(text: str | None) -> ReadOptions:
    """Return the options of `--read`, which is a mapping in YAML."""
    if text is None:
        return ReadOptions()
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"--read: expected a mapping like {{sep: ';'}}, got {text}")
    try:
        return ReadOptions.model_validate(found)
    except ValidationError as error:
        known = ReadOptions.model_fields
        listed = "; ".join(problems(error, where="--read", known=known))
        raise ValueError(listed) from None


def read_table(file: Path, options: ReadOptions) -> tuple[pd.DataFrame, ReadOptions]:
    """Return the table in a file, and the options that it is read with.

    Options that a message of the reader names, and without which a column cannot be
    read, are added and noted. Raises ValueError if the message leaves a choice.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file{tables_beside(file)}")
    try:
        data = read_frame(file, options, name=file.name)
    except ValueError as error:
        more = options
        for column in names_of_columns(file, options, error):
            more = with_advice(file, column, more)
        if more == options:
            raise ValueError(f"{error}; give read: by --read") from None
        data, options = read_frame(file, more, name=file.name), more
    for text in data.attrs["notes"]:
        notes.note(f"file:{file.name}: {text}")
    if not len(data):
        raise ValueError(f"{file.name}: has no row")
    return data, options


def names_of_columns(file: Path, options: ReadOptions, error: ValueError) -> list[str]:
    """Return the columns of a file of which some cannot be read; raises the error if
    the file cannot be read at all.
    """
    try:
        return load(file, options, lambda names: names[:1]).all_names
    except ValueError:
        raise ValueError(f"{error}; give read: by --read") from None


def with_advice(file: Path, column: str, options: ReadOptions) -> ReadOptions:
    """Return the options with those that the message about a column asks for."""
    try:
        read_frame(file, options, columns=[column])
    except ValueError as error:
        found = advice(str(error))
        if found is None:
            raise ValueError(
                f"{file.name}: {str(error).removeprefix(f'{file}: ')}; give read: by "
                "--read"
            ) from None
        notes.note(f"file:{file.name}: column {column} is read with {flow(found)}")
        return merged(options, column, found)
    return options


def advice(message: str) -> dict[str, Any] | None:
    """Return the only options that a message of the reader asks for, beside reading the
    column as a category; None if there is none or a choice.
    """
    found = []
    for written in re.findall(r"read: (\{(?:[^{}]|\{[^{}]*\})*\})", message):
        options = YAML(typ="safe", pure=True).load(written)
        if set(options) != {"types"}:
            found.append(options)
    if len(found) != 1 or not SAFE_KEYS.issuperset(found[0]):
        return None
    return dict(found[0])


def merged(options: ReadOptions, column: str, found: Mapping[str, Any]) -> ReadOptions:
    """Return options with more, by column where that is possible."""
    by_column = {"na_values", "thousands", "decimal"}
    before = options.model_dump(exclude_defaults=True)
    for key, value in found.items():
        if key in by_column and isinstance(before.get(key, {}), dict):
            before[key] = {**before.get(key, {}), column: value}
        elif key == "dates":
            before[key] = {**before.get(key, {}), **value}
        elif key == "strip":
            before[key] = "".join(sorted({*before.get(key, ""), *value}))
    return ReadOptions.model_validate(before)


def flow(value: Any) -> str:
    """Return a value as it stands in YAML on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
