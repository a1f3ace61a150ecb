"""Reads a YAML file that need not be trusted: no tag makes an object, and neither
aliases that stand for more and more values, nor nesting, nor size can use up memory or
time. The limits are checked while the file is parsed, before any value is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    ScalarEvent,
)

MAX_BYTES = 1 << 20
"Largest file, 1 MiB; a params file of a hundred studies has 20 KiB."
MAX_VALUES = 20_000
"Largest number of values when each alias is replaced by what it names."
MAX_DEPTH = 100
"Largest number of lists and mappings inside one another."


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file: mappings, lists, texts, numbers, dates.

    Raises FileNotFoundError, and ValueError that names the file for anything but a file
    of valid YAML of at most `MAX_BYTES`, `MAX_VALUES` and `MAX_DEPTH`.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: expected a file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(
            f"{path}: expected at most {MAX_BYTES} bytes of YAML, got {size}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        check_size(YAML(typ="safe", pure=True).parse(text))
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(" To suppress this check")[0]
        raise ValueError(f"{path}: not valid YAML: {reason}") from None


def check_size(events: Iterable[Event]) -> None:
    """Raise ValueError for parsed YAML of too many values or levels, or with an anchor
    that contains an alias of itself.
    """
    sizes: dict[str, int | None] = {}  # of each anchor; None until it is complete
    open_nodes: list[str | None] = []  # the anchor of each list or mapping
    totals = [0]
    for event in events:
        if isinstance(event, CollectionEndEvent):
            total = totals.pop()
            if anchor := open_nodes.pop():
                sizes[anchor] = total
            totals[-1] += total
        elif isinstance(event, CollectionStartEvent):
            open_nodes.append(event.anchor)
            totals.append(1)
            if event.anchor:
                sizes[event.anchor] = None
            if len(open_nodes) > MAX_DEPTH:
                raise ValueError(
                    f"expected at most {MAX_DEPTH} lists and mappings inside one "
                    f"another, got more (line {event.start_mark.line + 1})"
                )
        elif isinstance(event, AliasEvent):
            size = sizes.get(event.anchor, 1)
            if size is None:
                raise ValueError(f"the anchor {event.anchor!r} contains itself")
            totals[-1] += size
        elif isinstance(event, ScalarEvent):
            totals[-1] += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if totals[-1] > MAX_VALUES or sum(totals) > MAX_VALUES:
            raise ValueError(
                f"expected at most {MAX_VALUES} values, each alias counted as what it "
                f"names, got more (line {event.start_mark.line + 1})"
            )
