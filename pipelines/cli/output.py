"""How a command writes a result that is a text, and how it reports an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

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
    """Print an error that a user can fix as one line, `error: ...`, and exit with
    status 1. Every other exception is a bug and keeps its traceback.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of a pipe has exited; click handles this
    except Exception as error:
        if not isinstance(error, _user_errors()):
            raise
        from pipelines.common.redaction import without_passwords

        typer.echo(f"error: {without_passwords(error)}", err=True)
        raise typer.Exit(1) from None


def _user_errors() -> tuple[type[Exception], ...]:
    """Return the errors that a user can fix; MLflow's own only if it is imported."""
    module = sys.modules.get("mlflow.exceptions")
    return (ValueError, OSError, *([module.MlflowException] if module else []))
