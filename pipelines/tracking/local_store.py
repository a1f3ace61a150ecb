"""Finds the files of a model in a local MLflow store without importing MLflow.

Importing MLflow and opening a store by it take longer than most predictions. A local
store is an SQLite database and folders, so where the files of a model are is read from
the tables of MLflow here, read-only. Whatever else a store can be (a server, another
database, a bucket, tables of another version of MLflow) is left to MLflow's client,
which gives the same answer: None means that the client has to be asked.

This module writes nothing. A driver that writes to the store meanwhile is not blocked.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ftml.config import nearest
from pipelines.common.project import project_folder

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"

RESULTS = "*/*/run.json"
"The files in experiments/ that show that a study has a result."

MIN_PREFIX = 4
"Shortest beginning of a run's id that is looked for."
MAX_LISTED = 5
"Longest list of runs in an error."


def store_address() -> str:
    """Return the address of the store: MLFLOW_TRACKING_URI, or `mlflow.db` in the
    project folder.
    """
    default = sqlite_address(project_folder() / DATABASE)
    return os.environ.get("MLFLOW_TRACKING_URI") or default


def sqlite_address(path: Path) -> str:
    """Return the address of an SQLite database.

    SQLAlchemy reads `?` as the start of a query, and MLflow decodes `%`; both take the
    path as it is. So a path with such characters is given relative to the current
    folder, which stages and commands do not change.
    """
    text = str(path)
    return SQLITE + (os.path.relpath(text) if re.search("[?#%]", text) else text)


def existing_store() -> str:
    """Return the address of the store. Raises ValueError where it is an SQLite database
    that does not exist; none is created.
    """
    address = store_address()
    path = Path(address.removeprefix(SQLITE))
    if address.startswith(SQLITE) and not path.is_file():
        raise ValueError(
            f"no MLflow store: there is no {path.name} in {path.absolute().parent}; "
            "run this in the folder of a project after `dvc repro`, or set "
            "MLFLOW_TRACKING_URI" + _lost()
        )
    return address


def _lost() -> str:
    """Return how to log results again whose store is gone; "" if there are none."""
    found = sorted({p.parent.parent.name for p in Path("experiments").glob(RESULTS)})
    if not found:
        return ""
    more = ", and so on for the other datasets" if len(found) > 1 else ""
    return (
        "; results without a store are logged again by `rm -r experiments/"
        f"{found[0]} && dvc repro experiment@{found[0]}`{more}"
    )


def model_folder(address: str, model: str) -> Path | None:
    """Return the folder that holds the files of a model; None for a store that is not
    local, and where only MLflow's client can tell.

    model: `models:/<name>@<alias>`, `models:/<name>/<version>`, `models:/<id>` or
    `runs:/<id>/<name>`, whose id may be the beginning of a run's id. Raises ValueError,
    with the nearest name, if the store has no such model.
    """
    local = address.startswith(SQLITE) and "?" not in address
    if not local or "MLFLOW_REGISTRY_URI" in os.environ:
        return None
    place = f"{Path(address.removeprefix(SQLITE)).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True)) as database:
            location = _location(database, model)
    except sqlite3.Error:
        return None
    return None if location is None else _local_folder(location)


def _location(database: sqlite3.Connection, model: str) -> str | None:
    """Return the address of the files of a model; None for another form of address."""
    if found := re.fullmatch(r"runs:/([0-9a-f]+)/([^/]+)/?", model):
        return _of_run(database, *found.groups())
    if found := re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))/?", model):
        return _of_version(database, *found.groups())
    if found := re.fullmatch(r"models:/(m-[0-9a-f]+)/?", model):
        return _of_logged_model(database, found[1])
    return None


def _of_run(database: sqlite3.Connection, run_id: str, name: str) -> str | None:
    """Return the address of the newest model of that name that a run has logged."""
    query = "select run_uuid, name from runs where run_uuid like ? || '%' limit ?"
    runs = database.execute(query, (run_id, MAX_LISTED + 1)).fetchall()
    run_id = one_run(run_id, runs if len(run_id) >= MIN_PREFIX else [])
    query = (
        "select artifact_location from logged_models where source_run_id = ? and "
        "name = ? and lifecycle_stage = 'active' order by creation_timestamp_ms desc"
    )
    found = database.execute(query, (run_id, name)).fetchone()
    return found and str(found[0])


def one_run(run_id: str, runs: Sequence[tuple[str, str]]) -> str:
    """Return the id of the only run, of those that begin with an id; `runs` has their
    ids and names.

    Raises ValueError if there is none, and if there are several, which are listed.
    """
    if not runs:
        raise ValueError(f"no run {run_id} in this MLflow store")
    if len(runs) > 1:
        named = sorted(f"{found} ({name})" for found, name in runs)
        more = ", ..." if len(named) > MAX_LISTED else ""
        listed = ", ".join(named[:MAX_LISTED]) + more
        raise ValueError(f"the ids of several runs begin with {run_id}: {listed}")
    return runs[0][0]


def _of_version(
    database: sqlite3.Connection, name: str, alias: str | None, version: str | None
) -> str | None:
    """Return the address of a version of a registered model; None where workspaces have
    several of this name.
    """
    query = "select version, source, storage_location from model_versions where name = "
    query += "? and current_stage != 'Deleted_Internal'"
    versions = {
        str(number): storage or source
        for number, source, storage in database.execute(query, (name,))
    }
    query = "select alias, version from registered_model_aliases where name = ?"
    aliases = {key: str(found) for key, found in database.execute(query, (name,))}
    query = "select name from registered_models"
    names = [str(found) for (found,) in database.execute(query)]
    check_version(name, alias, version, names=names, aliases=aliases, versions=versions)
    if names.count(name) != 1:
        return None
    location = versions[version or aliases[alias or ""]]
    if found := re.fullmatch(r"models:/(m-[0-9a-f]+)", location or ""):
        return _of_logged_model(database, found[1])
    return location


def check_version(
    name: str,
    alias: str | None,
    version: str | None,
    *,
    names: Collection[str],
    aliases: Collection[str],
    versions: Collection[str],
) -> None:
    """Raise ValueError, with what there is instead, unless the store has a registered
    model of the name with the alias or the version.
    """
    if name not in names:
        known = nearest(name, names) if names else "; the store has no model"
        raise ValueError(f"no such model: unknown model {name!r}{known}")
    if alias is not None and alias not in aliases:
        known = nearest(alias, aliases) if aliases else "; it has no alias"
        raise ValueError(f"no such model: {name} has no alias {alias!r}{known}")
    if version is not None and version not in versions:
        listed = ", ".join(sorted(versions, key=int)) or "none"
        raise ValueError(
            f"no such model: {name} has no version {version}; its versions: {listed}"
        )


def _of_logged_model(database: sqlite3.Connection, model_id: str) -> str | None:
    query = "select artifact_location from logged_models where model_id = ? and "
    query += "lifecycle_stage = 'active'"
    found = database.execute(query, (model_id,)).fetchone()
    return found and str(found[0])


def _local_folder(location: str) -> Path | None:
    """Return the folder of a `file:` address or a path; None for any other address."""
    parts = urlsplit(location)
    if parts.scheme not in ("", "file") or parts.netloc:
        return None
    folder = Path(url2pathname(parts.path) if parts.scheme else location)
    return folder if folder.is_absolute() and folder.is_dir() else None
