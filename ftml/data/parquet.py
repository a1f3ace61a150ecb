"""Parquet files that say which data kind they hold, and errors for those that do not.

Every file ftml writes carries a JSON object under the key `ftml` of its schema
metadata: `kind`, and what that kind needs to be read back (class names, image shape,
...).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = ("train", "valid", "test")


def write(path: Path, table: pa.Table, about: dict[str, Any]) -> None:
    """Write a table with its description in the metadata. The bytes depend on these
    alone.
    """
    metadata = {b"ftml": json.dumps(about, sort_keys=True).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")


def read(
    path: Path, *, kind: str, columns: Iterable[str] = ()
) -> tuple[pa.Table, dict]:
    """Return the table and its description.

    Raises ValueError that names the file when it is missing, truncated, not Parquet,
    not written by ftml, of another kind, or without one of `columns`.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; `dvc repro` makes it")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: truncated or not Parquet ({reason})") from None
    written = (table.schema.metadata or {}).get(b"ftml")
    if written is None:
        raise ValueError(
            f"{path}: Parquet, but not written by ftml (no 'ftml' metadata)"
        )
    about = json.loads(written)
    if about["kind"] != kind:
        raise ValueError(f"{path}: holds {about['kind']}, expected {kind}")
    require(path, table, columns)
    return table, about


def require(path: Path, table: pa.Table, columns: Iterable[str]) -> None:
    """Raise ValueError that names the file when its table lacks one of `columns`."""
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ValueError(f"{path}: lacks the columns {', '.join(missing)}")


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError when two columns of one file would have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two columns would be named {', '.join(twice)}; rename one")
