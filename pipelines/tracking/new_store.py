"""Creates the database of a local MLflow store, whoever else creates it meanwhile.

MLflow creates its tables one at a time. If it is killed in between, it rejects the
partial database on every later start. So the database is created in a temporary folder
beside its place, and a link gives it its name, which fails if there is a database by
then: of two processes that start at once, the first to finish makes the store, and both
use it. No database that somebody may have written to is ever replaced.

A temporary folder names the process that has made it, and is removed by a later start
if that process has ended (`pipelines.common.processes`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient

from pipelines.common.files import place_new
from pipelines.common.processes import is_alive, read_process, this_process
from pipelines.common.project import project_folder
from pipelines.tracking import mlflow_internals
from pipelines.tracking.local_store import ARTIFACTS, sqlite_address

MAKER = "process.json"
"The file of a temporary folder that names the process."


def create(path: Path) -> None:
    """Create an empty database at a path, unless there is one."""
    prefix = f".{path.name}."
    for leftover in path.parent.glob(f"{prefix}*"):
        if _is_abandoned(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as temporary:
        folder, process = Path(temporary), this_process()
        (folder / MAKER).write_text(json.dumps([process.name, process.origin]))
        new, copy = folder / path.name, folder / "complete"
        _create_tables(new)
        # MLflow keeps connections to the file that it has created: link a copy.
        shutil.copyfile(new, copy)
        place_new(copy, path)


def _create_tables(path: Path) -> None:
    """Create the tables of a database.

    MLflow writes the folder of its experiment `Default` into an SQL statement as it is,
    by default below the current folder. If the path of that has a quote, it is given as
    an address, in which a quote is encoded.
    """
    if "'" in str(Path.cwd()):
        artifacts = (project_folder() / ARTIFACTS).as_uri()
        mlflow_internals.create_tables(sqlite_address(path), artifacts=artifacts)
    MlflowClient(sqlite_address(path)).search_experiments(max_results=1)


def _is_abandoned(folder: Path) -> bool:
    """Return whether the process that has made a temporary folder has ended. A folder
    without a process is of an earlier version, or a moment old: it is kept.
    """
    try:
        process = read_process(*json.loads((folder / MAKER).read_text()))
    except (OSError, ValueError, TypeError):
        return False
    return process is not None and is_alive(process) is False
