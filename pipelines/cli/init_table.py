"""Reads the table that `ftml init` is given, with the options that its file needs.

Where a column cannot be read and the message of the reader names one way only, that way
is taken and noted; otherwise the message is the error. A text that marks a missing
value in one column marks one in every other column of texts that holds it, too.
"""

from __future__ import annotations

import ast
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
from ftml.data.reading import SUFFIXES, ReadOptions, is_table_file, read_frame
from ftml.data.reading.files import load
from ftml.data.reading.problems import quoted
from pipelines.cli.output import tables_beside
from pipelines.datasets import notes

SAFE_KEYS = {"na_values", "strip", "thousands", "decimal", "dates"}
"Keys of `read:` that are taken from the message of the reader if it names no other."
MARK = re.compile(
    r"""holds ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"(?:: set read\.na_values, or|; expected a (?:date|number)\b)"
)
"How the reader names a text among dates or numbers without saying what it becomes."
NO_TEXTS = ["number", "bool", "boolean", "datetime"]
"Types of columns that cannot hold a text."
MOST_MARKS = 3
"Texts of one column that are taken for marks of a missing value."
MOST_STEPS = 6
"Messages about one column that are followed, one after the other."


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
    """Return the table in a file, and the options that it is read with, those that were
    detected for the whole file among them.

    Options that a message of the reader names, and without which a column cannot be
    read, are added and noted. Raises ValueError if the message leaves a choice.
    """
    check_table_file(file)
    try:
        data = read_frame(file, options, name=file.name)
    except ValueError as error:
        more = options
        for column in names_of_columns(file, options, error):
            more = with_advice(file, column, more)
        if more == options:
            raise ValueError(f"{error}; give read: by --read") from None
        if options.decimal is None:
            more = with_one_decimal_mark(file, more)
        data, options = read_with_marks(file, more, before=options)
    for text in data.attrs["notes"]:
        notes.note(f"file:{file.name}: {text}")
    if not len(data):
        raise ValueError(f"{file.name}: has no row")
    return data, options.model_copy(update=data.attrs["detected"])


def check_table_file(file: Path) -> None:
    """Raise ValueError for what is not the file of one table, with what it needs."""
    if not file.exists():
        raise ValueError(f"{file}: no such file{tables_beside(file)}")
    if file.is_file() and is_table_file(file.name):
        return
    what = "a folder" if file.is_dir() else f"a file {file.suffix}".strip()
    raise ValueError(
        f"{file} is {what}; expected the file of one table: {', '.join(SUFFIXES)}. "
        "Images, texts and other kinds of data are sections of params.yaml in a clone "
        "of ftml: docs/stages/images.md for a folder of images, class/name.png"
    )


def read_with_marks(
    file: Path, options: ReadOptions, *, before: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions]:
    """Return the table in a file and its options, with the marks of a missing value
    that were added to those of `before` applied to each column of texts.
    """
    data, more = read_frame(file, options, name=file.name), options
    known = added_marks(options, before)
    for name, column in data.select_dtypes(exclude=NO_TEXTS).items():  # type: ignore[arg-type]
        texts = sorted(known.intersection(column.dropna().astype(str).str.strip()))
        if texts and str(name) not in options.types:
            found = {"na_values": texts}
            more = merged(more, str(name), found)
            notes.note(
                f"file:{file.name}: column {name} is read with {flow(found)}, as "
                "another column is"
            )
    if more == options:
        return data, options
    return read_frame(file, more, name=file.name), more


def added_marks(options: ReadOptions, before: ReadOptions) -> set[str]:
    """Return the texts that mark a missing value in some column, and did not before."""
    if not isinstance(options.na_values, dict):  # they concern all columns already
        return set()
    given = before.na_values if isinstance(before.na_values, dict) else {}
    return {
        str(mark)
        for name, marks in options.na_values.items()
        for mark in marks
        if mark not in given.get(name, [])
    }


def names_of_columns(file: Path, options: ReadOptions, error: ValueError) -> list[str]:
    """Return the columns of a file of which some cannot be read; raises the error if
    the file cannot be read at all.
    """
    try:
        return load(file, options, lambda names: names[:1]).all_names
    except ValueError:
        raise ValueError(f"{error}; give read: by --read") from None


def with_one_decimal_mark(file: Path, options: ReadOptions) -> ReadOptions:
    """Return options whose decimal comma holds for the whole file, if some columns need
    one and the others can be read with it.
    """
    whole = options.model_copy(update={"decimal": ","})
    if options.decimal is None:
        return options
    try:
        read_frame(file, whole, name=file.name)
    except ValueError:
        return options
    return whole


def with_advice(file: Path, column: str, options: ReadOptions) -> ReadOptions:
    """Return the options with those that the messages about a column ask for, one after
    the other: a format of dates, say, and then the mark of a missing date.
    """
    first = error = problem_of(file, column, options)
    n_given, steps = len(options.missing_of(column)), dict[str, Any]()
    for _ in range(MOST_STEPS):
        if error is None:
            break
        step = advice(error) or {}
        more = merged(options, column, step)
        if more == options or len(more.missing_of(column)) > n_given + MOST_MARKS:
            break
        steps, options = {**steps, **step}, more
        error = problem_of(file, column, options)
    if error is not None:
        raise ValueError(f"{first}; give read: by --read{example(first or error)}")
    if "na_values" in steps:
        steps["na_values"] = options.missing_of(column)
    if steps:
        notes.note(f"file:{file.name}: column {column} is read with {flow(steps)}")
    return options


def problem_of(file: Path, column: str, options: ReadOptions) -> str | None:
    """Return why a column of a file cannot be read with these options, if it cannot."""
    try:
        read_frame(file, options, columns=[column], name=file.name)
    except ValueError as error:
        return str(error)
    return None


def example(message: str) -> str:
    """Return the option to type for a message that names a text, but not its key."""
    found = MARK.search(message)
    if found is None:
        return ""
    return f" '{flow({'na_values': [ast.literal_eval(found[1])]})}'"


def advice(message: str) -> dict[str, Any] | None:
    """Return the only options that a message of the reader asks for, beside reading the
    column as a category; None if there is none or a choice. A text without digits among
    dates or numbers marks a missing value.
    """
    found = []
    for written in re.findall(r"read: (\{(?:[^{}]|\{[^{}]*\})*\})", message):
        options = YAML(typ="safe", pure=True).load(written)
        if set(options) != {"types"}:
            found.append(options)
    if not found and (named := MARK.search(message)) is not None:
        found = [{"na_values": [ast.literal_eval(named[1])]}]
    if len(found) != 1 or not SAFE_KEYS.issuperset(found[0]):
        return None
    if any(re.search(r"\d", str(mark)) for mark in found[0].get("na_values", [])):
        return None
    return dict(found[0])


def merged(options: ReadOptions, column: str, found: Mapping[str, Any]) -> ReadOptions:
    """Return options with more, by column where that is possible."""
    before = options.model_dump(exclude_defaults=True)
    for key, value in found.items():
        if key == "na_values":
            known = options.missing_of(column)
            texts = [*known, *(each for each in value if each not in known)]
            by_column = isinstance(before.get(key, {}), dict)
            before[key] = {**before.get(key, {}), column: texts} if by_column else texts
        elif key in ("thousands", "decimal") and isinstance(before.get(key, {}), dict):
            before[key] = {**before.get(key, {}), column: value}
        elif key == "dates":
            before[key] = {**before.get(key, {}), **value}
        elif key == "strip":
            before[key] = "".join(sorted({*before.get(key, ""), *value}))
    return ReadOptions.model_validate(before)


def flow(value: Any) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
