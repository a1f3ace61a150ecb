"""Prints tables and texts on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

PIPED = 200
"Width in columns when standard output is not a terminal."


def show(*parts: Table | str) -> None:
    """Print text and tables, one below the other."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED
    for part in parts:
        console.print(part)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, unbroken: int = 1
) -> Table:
    """Return a table of texts; the first `unbroken` columns are never wrapped."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for j, column in enumerate(columns):
        result.add_column(column, no_wrap=j < unbroken, overflow="fold")
    for row in rows:
        result.add_row(*map(_escaped, row))
    return result


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
