"""What a stage says about the data that it reads: a line for everything that is left
out, guessed or converted.

A stage prints each line to stderr and writes all of them to `notes.txt` of the dataset.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pipelines.common.redaction import without_passwords

FILE = "notes.txt"

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def note(text: str) -> None:
    """Print a line to stderr, and keep it if a stage collects notes.

    A stage that reads a source twice says each line once.
    """
    text = without_passwords(text)
    lines = _collected.get()
    if lines is not None and text in lines:
        return
    print(text, file=sys.stderr, flush=True)
    if lines is not None:
        lines.append(text)


@contextmanager
def collect_notes() -> Iterator[list[str]]:
    """Provide the list to which `note` adds its lines inside the block."""
    lines: list[str] = []
    token = _collected.set(lines)
    try:
        yield lines
    finally:
        _collected.reset(token)
