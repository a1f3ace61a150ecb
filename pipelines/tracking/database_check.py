"""Whether the SQLite database of MLflow can be used, before MLflow opens it.

MLflow tries a minute to open a database that is locked or damaged and prints a page of
traceback for each attempt. SQLite itself says within seconds what is wrong.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

LOCK_TIMEOUT_S = 10.0
"Seconds to wait for another process that holds the database."


def check_database(path: Path, *, timeout: float | None = None) -> None:
    """Raise sqlite3.Error for a database that is locked for `timeout` seconds (by
    default LOCK_TIMEOUT_S), that cannot be written, or that is no database.

    Nothing is written: a transaction is begun and taken back. For a database that
    cannot be written, SQLite begins one that reads, and raises at the first change.
    """
    seconds = LOCK_TIMEOUT_S if timeout is None else timeout
    address = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)
    with closing(database):
        database.execute("begin immediate")
        database.execute("select count(*) from sqlite_master").fetchone()
        (version,) = database.execute("pragma user_version").fetchone()
        database.execute(f"pragma user_version = {version}")
        database.execute("rollback")


def is_locked(error: BaseException) -> bool:
    """Return whether another process holds the database, which ends with that process:
    the same call can succeed later.
    """
    return "database is locked" in str(error)
