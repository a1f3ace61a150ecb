"""Moves the default MLflow store to the database and the artifact storage of a server.

SOURCE is the default store, `sqlite:///mlflow.db`; TARGET is the server's
`--backend-store-uri`, ARTIFACTS its `--artifacts-destination` (`s3://bucket/prefix` or
a folder). Ids, times, statuses, every step of every metric, versions and aliases are
unchanged; artifacts get the addresses that a server with `--serve-artifacts` uses. The
password of a database is read from PGPASSWORD, the keys of a bucket are read by boto3;
neither is printed.

Order. Both stores are checked first. Then the files are uploaded, and then all rows are
copied in one transaction. If the move fails or is killed at any point, the database is
still empty, and the command can be rerun: files that were uploaded are overwritten. The
source is only read, in one transaction.

The layout of MLflow's tables is not documented, nor is `get_artifact_repository`: this
module alone relies on them. `tests/pipelines/tracking/test_migrate.py` compares the
tables and columns that are named here with those of the installed MLflow.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
"The columns that hold addresses of artifacts, by table."

INITIAL_ROWS = {
    "experiments": ("experiment_id", 0),
    "workspaces": ("name", "default"),
}
"The row that MLflow creates with a store, by table: its key column and its key."

SERVER_TABLES = {"jobs", "job_locks", "scheduler_leases"}
"Tables with the state of a running server; they are not moved."

BATCH_ROWS = 5000
"The number of rows that are read and written at once."

TablePairs = Mapping[str, tuple[Table, Table]]
"Tables by name: that of the source, and that of the target."


class MigrationError(ValueError):
    """A store cannot be moved. The database of the target is unchanged."""


@dataclass(frozen=True)
class Location:
    """Where the artifacts of an experiment are in the source and in the target."""

    experiment_id: str
    address: str
    "the address that the source has: a path or a `file:` URI"

    folder: Path
    "the local folder at that address"

    @property
    def served_address(self) -> str:
        """The address that a server uses."""
        return f"mlflow-artifacts:/{self.experiment_id}"


def migrate(source: str, target: str, artifacts: str) -> dict[str, int]:
    """Move a store; return the number of rows moved, by table, and of `files`.

    Raises MigrationError before anything is moved if the source has another schema than
    the installed MLflow, has runs that are RUNNING, or lacks artifacts, and if the
    target is not empty; also for an error of a database, whose message never contains
    the password of the target.
    """
    try:
        return _migrate(source, target, artifacts)
    except (SQLAlchemyError, NoSuchModuleError, ModuleNotFoundError) as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        if password := _url(target).password:
            reason = reason.replace(str(password), "***")
        raise MigrationError(f"{shown(target)}: {reason}") from None


def _migrate(source: str, target: str, artifacts: str) -> dict[str, int]:
    """Move a store (see `migrate`); raises the errors of the database as they are."""
    with _engine(_check_file(source)) as old, _engine(_initialise(target)) as new:
        tables = _tables_of_both(old, new)
        with old.connect() as reading:
            reading.exec_driver_sql("BEGIN")  # one snapshot for all reads
            _check_source(reading, tables)
            with new.connect() as connection:
                _check_empty(connection, tables)
            locations = _locations(reading, tables)
            files = sum(_upload(location, artifacts) for location in locations)
            with new.begin() as writing:
                _check_empty(writing, tables)
                moved = _copy(reading, writing, tables, locations)
    return {**moved, "files": files}


def _check_file(source: str) -> str:
    """Return the address of the source; raise if it is not an existing SQLite file."""
    url = _url(source)
    if url.get_backend_name() != "sqlite" or not Path(url.database or "").is_file():
        raise MigrationError(
            f"SOURCE: expected a store, sqlite:///mlflow.db, got {shown(source)}"
        )
    return source


def _initialise(target: str) -> str:
    """Return the address of the target, after MLflow has created its tables or checked
    the existing ones.
    """
    engine = sqlalchemy.create_engine(_url(target))
    with engine.connect():  # fails at once, where MLflow would retry for minutes
        pass
    engine.dispose()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        MlflowClient(target, target).search_experiments(max_results=1)
    except MlflowException as error:
        raise MigrationError(f"TARGET {shown(target)}: {error}") from None
    return target


def _url(address: str) -> sqlalchemy.URL:
    """Return the parts of a database's address. The error does not quote the address,
    which may contain a password.
    """
    try:
        return make_url(address)
    except ArgumentError:
        raise MigrationError(
            "expected the address of a database, sqlite:///file or postgresql://host/"
            "name; got one that is neither"
        ) from None


def shown(address: str) -> str:
    """Return the address of a database without its password."""
    return _url(address).render_as_string(hide_password=True)


@contextmanager
def _engine(address: str) -> Iterator[Engine]:
    """Yield an engine whose errors do not quote the values of rows."""
    engine = sqlalchemy.create_engine(_url(address), hide_parameters=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _tables_of_both(old: Engine, new: Engine) -> dict[str, tuple[Table, Table]]:
    """Return the tables of the source and of the target by name, each table after those
    that its foreign keys refer to.
    """
    source, target = MetaData(), MetaData()
    source.reflect(old)
    target.reflect(new)
    versions = [
        _schema_version(engine, tables)
        for engine, tables in ((old, source), (new, target))
    ]
    if versions[0] != versions[1]:
        raise MigrationError(
            f"SOURCE has the schema {versions[0] or 'of no store'}, this MLflow has "
            f"{versions[1]}: back it up, then `mlflow db upgrade {shown(str(old.url))}`"
        )
    return {
        table.name: (source.tables[table.name], table)
        for table in target.sorted_tables
        if table.name in source.tables
        and table.name not in {"alembic_version", *SERVER_TABLES}
    }


def _schema_version(engine: Engine, tables: MetaData) -> str | None:
    """Return the version of a store's schema; None if the database is no store."""
    if "alembic_version" not in tables.tables:
        return None
    with engine.connect() as connection:
        return connection.scalar(select(tables.tables["alembic_version"].c.version_num))


def _check_source(reading: Connection, tables: TablePairs) -> None:
    """Raise MigrationError if a run of the source is RUNNING."""
    runs = tables["runs"][0]
    running = select(func.count()).where(runs.c.status == "RUNNING")
    if count := reading.scalar(running):
        raise MigrationError(
            f"SOURCE: {count} runs are RUNNING; wait for them, or close those of "
            "crashed drivers with `ftml close-stale-runs`"
        )


def _check_empty(connection: Connection, tables: TablePairs) -> None:
    """Raise MigrationError if the target has more than the rows of an empty store."""
    for name, (_, table) in tables.items():
        rows = select(func.count()).select_from(table)
        if name in INITIAL_ROWS:
            column, value = INITIAL_ROWS[name]
            rows = rows.where(table.c[column] != value)
        if count := connection.scalar(rows):
            raise MigrationError(f"TARGET is not empty: {count} rows in {name}")


def _locations(reading: Connection, tables: TablePairs) -> list[Location]:
    """Return the locations of all experiments whose artifacts are in a local folder;
    artifacts that are in a remote storage already are not moved.

    Raises MigrationError if the folder of an experiment with models is missing, or if
    the artifacts of a run or a model are in no such folder.
    """
    experiments = tables["experiments"][0].c
    found = [
        Location(str(experiment_id), address, folder)
        for experiment_id, address in reading.execute(
            select(experiments.experiment_id, experiments.artifact_location)
        )
        if (folder := _local_folder(address))
    ]
    models = tables["logged_models"][0]
    experiment_ids = reading.scalars(select(models.c.experiment_id).distinct())
    with_models = set(map(str, experiment_ids))
    for location in found:
        if location.experiment_id in with_models and not location.folder.is_dir():
            raise MigrationError(
                f"{location.folder}: the artifacts of experiment "
                f"{location.experiment_id} are missing"
            )
    for name in ("runs", "logged_models"):
        [column] = ADDRESSES[name]
        for address in reading.scalars(select(tables[name][0].c[column])):
            if _local_folder(address) and _served_address(address, found) == address:
                raise MigrationError(
                    f"{address}: is outside of the folder of its experiment"
                )
    return found


def _local_folder(address: str | None) -> Path | None:
    """Return the local folder at an address of artifacts; None if it is not local."""
    parts = urlsplit(address or "none:")
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(address or "") if not parts.scheme else None


def _served_address(address: str | None, locations: Sequence[Location]) -> str | None:
    """Return the address that a server uses for one in the source; an address outside
    of all locations is unchanged.
    """
    for location in locations:
        rest = (address or "").removeprefix(location.address)
        if address == location.address + rest and (not rest or rest.startswith("/")):
            return location.served_address + rest
    return address


def _upload(location: Location, artifacts: str) -> int:
    """Upload the files of an experiment; return their number."""
    if not location.folder.is_dir():
        return 0
    try:
        storage = get_artifact_repository(artifacts)
        storage.log_artifacts(str(location.folder), location.experiment_id)
    except Exception as error:  # each kind of storage raises its own errors
        raise MigrationError(f"ARTIFACTS {artifacts}: {error}") from error
    return sum(path.is_file() for path in location.folder.rglob("*"))


def _copy(
    reading: Connection,
    writing: Connection,
    tables: TablePairs,
    locations: Sequence[Location],
) -> dict[str, int]:
    """Copy all rows with the addresses of the server; return their number by table."""
    for _, table in reversed(list(tables.values())):  # the rows of an empty store
        writing.execute(table.delete())
    moved = {}
    for name, (source, table) in tables.items():
        addresses = ADDRESSES.get(name, ())
        rows = reading.execution_options(yield_per=BATCH_ROWS).execute(select(source))
        count = 0
        for batch in rows.mappings().partitions():
            values = [dict(row) for row in batch]
            for row in values:
                row |= {
                    column: _served_address(row[column], locations)
                    for column in addresses
                }
            writing.execute(table.insert(), values)
            count += len(values)
        if count != writing.scalar(select(func.count()).select_from(table)):
            raise MigrationError(f"TARGET: not all of {count} rows are in {name}")
        _advance_sequence(writing, table)
        moved[name] = count
    return moved


def _advance_sequence(writing: Connection, table: Table) -> None:
    """Set the sequence of a table's key in Postgres to the largest key that was copied,
    so that the next row gets the number after it.
    """
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
