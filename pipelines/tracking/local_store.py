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
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ftml.config import nearest
from pipelines.common.project import project_folder

T = TypeVar("T")

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"

RESULTS = "*/*/run.json"
"The files in experiments/ that show that a study has a result."

RUNS_OF_STUDY = """
select runs.run_uuid, artifact_uri from runs
join tags as keys on keys.run_uuid = runs.run_uuid and keys.key = 'ftml.key'
join tags as roles on roles.run_uuid = runs.run_uuid and roles.key = 'ftml.role'
where keys.value = ? and roles.value = 'study' and status = 'FINISHED'
and lifecycle_stage = 'active'
"""
CHILDREN = """
from runs
join tags as parents on parents.run_uuid = runs.run_uuid
and parents.key = 'mlflow.parentRunId'
join tags as roles on roles.run_uuid = runs.run_uuid and roles.key = 'ftml.role'
"""
ENDED_CHILDREN = f"""
select roles.value, count(*) {CHILDREN}
where parents.value = ? and status in ('FINISHED', 'FAILED')
and lifecycle_stage = 'active' group by roles.value
"""
MODEL_OF_STUDY = f"""
select substr(versions.source, length('models:/') + 1) {CHILDREN}
join model_versions as versions on versions.run_id = runs.run_uuid
where parents.value = ? and roles.value = 'fit' and lifecycle_stage = 'active'
and versions.current_stage != 'Deleted_Internal' and versions.source like 'models:/m-%'
"""
TRIALS_PARAM = "select value from params where run_uuid = ? and key = 'trials'"
"What is asked of the tables of MLflow about a study."

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


def is_default_store() -> bool:
    """Return whether the store is the one that is part of the project folder."""
    return store_address() == sqlite_address(project_folder() / DATABASE)


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
            "MLFLOW_TRACKING_URI" + unlogged()
        )
    return address


def unlogged() -> str:
    """Return how results on disk are logged that no store has; "" if there are none."""
    if next(Path("experiments").glob(RESULTS), None) is None:
        return ""
    return "; `ftml log` writes the results in experiments/ to the store in use"


def has_study(key: str, *, n_fits: int) -> bool:
    """Return whether a local store has the finished study with a key: its run, those of
    its trials and of at least `n_fits` final fits, its files, and a registered model
    with its files.

    False for a store that is not local, and where only MLflow's client can know.
    """

    def read(database: sqlite3.Connection) -> bool:
        return any(
            _is_whole(database, *run, n_fits=n_fits)
            for run in database.execute(RUNS_OF_STUDY, (key,))
        )

    return bool(_read(store_address(), read))


def _read(address: str, read: Callable[[sqlite3.Connection], T]) -> T | None:
    """Return what a function reads in the database of a store; None for a store that is
    not local or has no such tables, and where only MLflow's client can know.
    """
    local = address.startswith(SQLITE) and "?" not in address
    if not local or "MLFLOW_REGISTRY_URI" in os.environ:
        return None
    place = f"{Path(address.removeprefix(SQLITE)).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True)) as database:
            return read(database)
    except sqlite3.Error:
        return None


def _is_whole(
    database: sqlite3.Connection, run_id: str, artifacts: str, *, n_fits: int
) -> bool:
    """Return whether a store has the children, files and model of a finished study."""
    counts = dict(database.execute(ENDED_CHILDREN, (run_id,)).fetchall())
    trials = database.execute(TRIALS_PARAM, (run_id,)).fetchone()
    if trials is None or counts.get("trial", 0) < int(trials[0]):
        return False
    files = _local_folder(artifacts)
    if files is None or not (files / "metrics.json").is_file():
        return False
    if counts.get("fit", 0) < n_fits or not (files / "figures").is_dir():
        return False
    models = database.execute(MODEL_OF_STUDY, (run_id,)).fetchall()
    places = [_of_logged_model(database, str(model)) for (model,) in models]
    folders = [_local_folder(place) for place in places if place]
    return any(folder and (folder / "MLmodel").is_file() for folder in folders)


def model_folder(address: str, model: str) -> Path | None:
    """Return the folder that holds the files of a model; None for a store that is not
    local, and where only MLflow's client can know.

    model: `models:/<name>@<alias>`, `models:/<name>/<version>`, `models:/<id>` or
    `runs:/<id>/<name>`, whose id may be the beginning of a run's id. Raises ValueError,
    with the nearest name, if the store has no such model.
    """
    location = _read(address, partial(_location, model=model))
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
