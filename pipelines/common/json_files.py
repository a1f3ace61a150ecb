"""Dataclasses as JSON files: their text, and how they are read again with their types.

JSON has neither NaN nor infinities, so they are written as the strings that `float`
reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from ftml.config import problems

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def json_text(content: DataclassInstance) -> str:
    """Return a dataclass as the text of a JSON file, its fields in their order."""
    return json.dumps(_as_json(asdict(content)), indent=1, allow_nan=False) + "\n"


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    special = isinstance(value, float) and not math.isfinite(value)
    return str(value) if special else value


def read_json(path: Path, kind: type[T]) -> T:
    """Return the dataclass that a file holds as JSON.

    Raises FileNotFoundError for a file that is absent, and ValueError for a file that
    is not JSON, lacks a field, or has a field of another type. A class that is
    decorated with `pydantic.with_config(extra="forbid")` has no other fields.
    """
    content = json.loads(path.read_bytes())
    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        lines = problems(error, where=path.name, known={})
        raise ValueError("; ".join(lines)) from None


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)
