"""How a command writes a result that is a text, and how it reports an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from pipelines.common.errors import debugging
from pipelines.common.explain import LIBRARIES, explain
from pipelines.common.redaction import print_traceback

FEW = 12
"Longest list of names in an error."


def write(text: str, path: Path | None) -> None:
    """Write text to a file, as a whole, or to standard output when the path is None."""
    if path is None:
        sys.stdout.write(text)
        return
    from pipelines.common.files import write_files

    write_files(path.parent, {path.name: text})


def closest(name: str, known: Sequence[str]) -> str:
    """Return the nearest of known names, or all names if there are few and none is
    close; "" if there are many or none.
    """
    from ftml.config import nearest

    text = nearest(name, known) if known else ""
    return text if len(known) <= FEW or text.startswith("; nearest") else ""


def tables_beside(file: Path) -> str:
    """Return the nearest name of the tables in the folder of a file; "" for none."""
    from ftml.data.reading import is_table_file

    found = file.parent.iterdir() if file.parent.is_dir() else ()
    return closest(file.name, sorted(p.name for p in found if is_table_file(p.name)))


@contextmanager
def report_errors() -> Iterator[None]:
    """Print an error as one line, `error: ...`, and exit with status 1. Its traceback
    is printed before it with `ftml --debug` or FTML_DEBUG=1; a line that is no sentence
    for a user says so.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of a pipe has exited; click handles this
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package in ("click", "typer"):
            raise  # how a command ends
        if debugging():
            print_traceback(type(error), error, error.__traceback__)
        known = isinstance(error, ValueError | OSError) or package in LIBRARIES
        hint = "" if known else "; `ftml --debug` shows where"
        typer.echo(f"error: {explain(error)}{hint}", err=True)
        raise typer.Exit(1) from None
