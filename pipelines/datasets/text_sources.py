"""Reads the text of a source, and says how many rows of a table have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ftml.data.text import pieces
from pipelines.common.formatting import counted
from pipelines.datasets.notes import note
from pipelines.params.text import TextSchema


def text_pieces(
    file: Path, text: TextSchema, *, say: Callable[[str], None] = note
) -> Iterator[bytes]:
    """Yield the text of a file of a source in pieces; see `ftml.data.text.pieces`.

    say: is called with a line if rows of the column have no text.
    """

    def count_blank(n: int) -> None:
        rows = counted(n, "row")
        say(f"{text.source}: {file.name}: column {text.column!r} is empty in {rows}")

    encoding = text.read.encoding
    return pieces(file, column=text.column, encoding=encoding, count_blank=count_blank)
