"""One line for an error of a library, with what to do.

The text of an error of MLflow, SQLAlchemy or Ray is often a page long and says neither
which file is meant nor what helps. `explain` returns its first sentence and the advice
of the first row of ADVICE whose pattern occurs in the error or in its causes. Errors
that this project raises itself are complete and are returned unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.common.redaction import without_passwords

LIBRARIES = {"mlflow", "sqlalchemy", "alembic", "sqlite3", "ray", "requests", "urllib3"}
"Packages whose errors are shortened."

LONGEST = 400
"Characters of an error that are shown."

ADVICE = [
    (
        "database is locked",
        "another process holds the MLflow database; wait for it or end it, then rerun",
    ),
    (
        "database disk image is malformed|file is not a database|malformed database",
        "the MLflow database is damaged; restore a copy of it, or move it away, so "
        "that a new one is made, then rerun",
    ),
    (
        "readonly database|unable to open database file",
        "this user cannot write the MLflow database; change the rights of the file "
        "and of its folder, then rerun",
    ),
    (
        "No space left on device|database or disk is full|Disk quota exceeded",
        "the disk is full; free some space, then rerun",
    ),
    (
        "Read-only file system|Permission denied|Operation not permitted",
        "change the rights of the file, or write elsewhere, then rerun",
    ),
    (
        "Too many open files",
        "raise the limit of open files with `ulimit -n 65536`, then rerun",
    ),
    (
        "No Experiment with id|Could not find experiment|Run with id=.* not found|"
        "Run '.*' not found|be in the 'active'|RESOURCE_DOES_NOT_EXIST",
        "an experiment or a run was deleted in MLflow meanwhile; rerun the stage, "
        "which logs it again",
    ),
    (
        "raylet|GCS|gcs_|ray::core|actor died|ActorDied|ActorUnavailable|node died",
        "a process of Ray has ended; rerun the stage, which resumes",
    ),
]
"Patterns of errors, and what helps."


def explain(error: BaseException) -> str:
    """Return an error in one line, without passwords, with advice if there is some."""
    return without_passwords(_explain(error))


def _explain(error: BaseException) -> str:
    package = type(error).__module__.partition(".")[0]
    if package == "pipelines" or (
        isinstance(error, ValueError) and package not in LIBRARIES
    ):
        return str(error)
    text = first_sentence(error)
    if not isinstance(error, OSError) and package not in LIBRARIES:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    advice = _advice(error)
    return f"{text.rstrip('.')}; {advice}" if advice else text


def first_sentence(error: BaseException) -> str:
    """Return the first line of an error that is no traceback, at most LONGEST long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # Ray puts the traceback of a worker before the error.
    traced = any(line.startswith(("Traceback", "ray::")) for line in lines)
    line = lines[-1] if traced else lines[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def _advice(error: BaseException) -> str:
    texts = "\n".join(str(each) for each in chain(error))
    found = (advice for pattern, advice in ADVICE if re.search(pattern, texts))
    return next(found, "")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, ten at most."""
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__
