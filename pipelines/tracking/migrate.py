"""Move the default MLflow store to the database and the storage of a server.

SOURCE is the default store, `sqlite:///mlflow.db`; TARGET is the server's
`--backend-store-uri`, ARTIFACTS its `--artifacts-destination` (`s3://bucket/prefix`,
or a folder). Ids, times, statuses, every step of every metric,
versions and aliases stay as they are; artifacts get the addresses that a server with
`--serve-artifacts` hands out. The password of a database belongs into PGPASSWORD, the
keys of a storage into what boto3 reads: neither is printed.

Files come first, then all rows in one transaction: a store that was not moved to its
end is empty as before, and the command can be rerun. The source is only read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy import Connection, Engine, MetaData, Table, func, make_url, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("storage_location", "source"),
    "trace_tags": ("value",),
}
"Columns that tell where artifacts are."

PUT_THERE_BY_MLFLOW = {
    "experiments": ("experiment_id", 0),
    "workspaces": ("name", "default"),
}
"The one row that an empty store has in these tables, by a column and its value."

OF_A_SERVER = {"jobs", "job_locks", "scheduler_leases"}
"Tables of what a server does, rather than of what it keeps."

ROWS = 5000
"that are read and written at once"


class MigrationError(ValueError):
    """A store cannot be moved; the target is as it was."""


@dataclass(frozen=True)
class Location:
    """Where the artifacts of an experiment are, and where they go below ARTIFACTS."""

    experiment: str
    written: str
    "as the store has it"

    folder: Path

    @property
    def served(self) -> str:
        return f"mlflow-artifacts:/{self.experiment}"


def migrate(source: str, target: str, artifacts: str) -> dict[str, int]:
    """Move a store; return how many rows of each table, and how many `files`, moved.

    Raises MigrationError, before anything is moved, for a source that is no store of
    this MLflow's schema, that has runs under way or lacks artifacts, and for a target
    that is not empty; and for a database error, without the password of the target.
    """
    try:
        return _migrate(source, target, artifacts)
    except (SQLAlchemyError, NoSuchModuleError, ModuleNotFoundError) as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        if password := _url(target).password:
            reason = reason.replace(str(password), "***")
        raise MigrationError(f"{shown(target)}: {reason}") from None


def _migrate(source: str, target: str, artifacts: str) -> dict[str, int]:
    with _opened(_existing(source)) as old, _opened(_made(target)) as new:
        tables = _tables_of_both(old, new)
        with old.connect() as reading:
            reading.exec_driver_sql("BEGIN")  # what is read is of one moment
            _check_source(reading, tables)
            with new.connect() as connection:
                _check_empty(connection, tables)
            locations = _locations(reading, tables)
            files = sum(_upload(location, artifacts) for location in locations)
            with new.begin() as writing:
                _check_empty(writing, tables)
                moved = _copy(reading, writing, tables, locations)
    return {**moved, "files": files}


def _existing(source: str) -> str:
    url = _url(source)
    if url.get_backend_name() != "sqlite" or not Path(url.database or "").is_file():
        raise MigrationError(
            f"SOURCE: expected a store, sqlite:///mlflow.db, got {shown(source)}"
        )
    return source


def _made(target: str) -> str:
    """Have MLflow make its tables, or check those that are there."""
    engine = sqlalchemy.create_engine(_url(target))
    with engine.connect():  # MLflow itself would try for minutes
        pass
    engine.dispose()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        MlflowClient(target, target).search_experiments(max_results=1)
    except MlflowException as error:
        raise MigrationError(f"TARGET {shown(target)}: {error}") from None
    return target


def _url(written: str) -> sqlalchemy.URL:
    try:
        return make_url(written)
    except ArgumentError:
        raise MigrationError(
            "expected the address of a database, sqlite:///file or postgresql://host/"
            "name; one that came is neither"
        ) from None


def shown(address: str) -> str:
    """Return the address of a database without its password."""
    return _url(address).render_as_string(hide_password=True)


@contextmanager
def _opened(address: str) -> Iterator[Engine]:
    engine = sqlalchemy.create_engine(_url(address), hide_parameters=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _tables_of_both(old: Engine, new: Engine) -> dict[str, tuple[Table, Table]]:
    """Return the tables of the source with those of the target, each after what it
    refers to.
    """
    source, target = MetaData(), MetaData()
    source.reflect(old)
    target.reflect(new)
    versions = [
        _version(engine, tables) for engine, tables in ((old, source), (new, target))
    ]
    if versions[0] != versions[1]:
        raise MigrationError(
            f"SOURCE has the schema {versions[0] or 'of no store'}, this MLflow's is "
            f"{versions[1]}: back it up, then `mlflow db upgrade {shown(str(old.url))}`"
        )
    return {
        table.name: (source.tables[table.name], table)
        for table in target.sorted_tables
        if table.name in source.tables
        and table.name not in {"alembic_version", *OF_A_SERVER}
    }


def _version(engine: Engine, tables: MetaData) -> str | None:
    if "alembic_version" not in tables.tables:
        return None
    with engine.connect() as connection:
        return connection.scalar(select(tables.tables["alembic_version"].c.version_num))


def _check_source(
    reading: Connection, tables: Mapping[str, tuple[Table, Table]]
) -> None:
    runs = tables["runs"][0]
    running = select(func.count()).where(runs.c.status == "RUNNING")
    if count := reading.scalar(running):
        raise MigrationError(
            f"SOURCE: {count} runs are RUNNING; wait for them, or close those of "
            "crashed drivers with `ftml close-stale-runs`"
        )


def _check_empty(
    connection: Connection, tables: Mapping[str, tuple[Table, Table]]
) -> None:
    for name, (_, table) in tables.items():
        rows = select(func.count()).select_from(table)
        if name in PUT_THERE_BY_MLFLOW:
            column, value = PUT_THERE_BY_MLFLOW[name]
            rows = rows.where(table.c[column] != value)
        if count := connection.scalar(rows):
            raise MigrationError(f"TARGET is not empty: {count} rows in {name}")


def _locations(
    reading: Connection, tables: Mapping[str, tuple[Table, Table]]
) -> list[Location]:
    """Return where the artifacts of each experiment are; those in a storage stay there.

    Raises MigrationError for artifacts that are not there, or lie elsewhere.
    """
    experiments = tables["experiments"][0].c
    found = [
        Location(str(identity), written, folder)
        for identity, written in reading.execute(
            select(experiments.experiment_id, experiments.artifact_location)
        )
        if (folder := _local(written))
    ]
    models = tables["logged_models"][0]
    having = set(map(str, reading.scalars(select(models.c.experiment_id).distinct())))
    for location in found:
        if location.experiment in having and not location.folder.is_dir():
            raise MigrationError(
                f"{location.folder}: the artifacts of experiment "
                f"{location.experiment} are not there"
            )
    for name in ("runs", "logged_models"):
        [column] = ADDRESSES[name]
        for address in reading.scalars(select(tables[name][0].c[column])):
            if _local(address) and _served(address, found) == address:
                raise MigrationError(
                    f"{address}: lies outside of the folder of its experiment"
                )
    return found


def _local(address: str | None) -> Path | None:
    """Return the folder that an address of artifacts means; None if it is elsewhere."""
    parts = urlsplit(address or "none:")
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(address or "") if not parts.scheme else None


def _served(address: Any, locations: Sequence[Location]) -> Any:
    """Return the address that a server hands out for one in a folder."""
    for location in locations:
        if (
            str(address).startswith(f"{location.written}/")
            or address == location.written
        ):
            return location.served + str(address).removeprefix(location.written)
    return address


def _upload(location: Location, artifacts: str) -> int:
    """Put the files of an experiment into the storage; return how many."""
    if not location.folder.is_dir():
        return 0
    try:
        storage = get_artifact_repository(artifacts)
        storage.log_artifacts(str(location.folder), location.experiment)
    except Exception as error:  # each kind of storage has its own
        raise MigrationError(f"ARTIFACTS {artifacts}: {error}") from error
    return sum(path.is_file() for path in location.folder.rglob("*"))


def _copy(
    reading: Connection,
    writing: Connection,
    tables: Mapping[str, tuple[Table, Table]],
    locations: Sequence[Location],
) -> dict[str, int]:
    """Copy all rows, and return how many of each table."""
    for _, table in reversed(list(tables.values())):  # what MLflow has put there
        writing.execute(table.delete())
    moved = {}
    for name, (source, table) in tables.items():
        addresses = ADDRESSES.get(name, ())
        rows = reading.execution_options(yield_per=ROWS).execute(select(source))
        count = 0
        for part in rows.mappings().partitions():
            values = [dict(row) for row in part]
            for row in values:
                row |= {each: _served(row[each], locations) for each in addresses}
            writing.execute(table.insert(), values)
            count += len(values)
        if count != writing.scalar(select(func.count()).select_from(table)):
            raise MigrationError(f"TARGET: not all of {count} rows are in {name}")
        _go_on_counting(writing, table)
        moved[name] = count
    return moved


def _go_on_counting(writing: Connection, table: Table) -> None:
    """Have Postgres number the next row after the last one."""
    column = table.autoincrement_column
    if column is None or writing.dialect.name != "postgresql":
        return
    sequence = func.pg_get_serial_sequence(table.name, column.name)
    last = select(func.max(column)).scalar_subquery()
    writing.execute(select(func.setval(sequence, last)).where(last.is_not(None)))


def summary(moved: Mapping[str, int], target: str) -> str:
    """Return one line with the numbers of what `migrate` moved to a target."""
    parts = (
        "experiments",
        "runs",
        "metrics",
        "registered_models",
        "model_versions",
        "files",
    )
    counts = ", ".join(f"{moved[name]:,} {name.replace('_', ' ')}" for name in parts)
    return f"moved to {shown(target)}: {counts}"
