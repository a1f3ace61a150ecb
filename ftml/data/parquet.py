"""Parquet files that state their data kind, and errors for files that do not.

Every file that ftml writes has a JSON object under the key `ftml` of its schema
metadata: `kind`, and what that kind needs for reading (class names, image shape, ...).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ftml.memory import check_fits

SPLITS = ("train", "valid", "test")
MAX_VALUES = 50_000_000
"Values of a file of any size that are read."
MAX_RATIO = 50
"Values for each byte of a larger file that are read."
T = TypeVar("T")


def write(path: Path, table: pa.Table, about: Mapping[str, object]) -> None:
    """Write a table with its description in the metadata. The bytes depend on these
    alone.
    """
    pq.write_table(
        table.replace_schema_metadata(_metadata(about)), path, compression="zstd"
    )


@contextmanager
def writer(
    path: Path, schema: pa.Schema, about: Mapping[str, Any], **options: Any
) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that writes a table as one row group of a file, in the format of
    `write`. options: of pyarrow's ParquetWriter.
    """
    schema = schema.with_metadata(_metadata(about))
    with pq.ParquetWriter(path, schema, compression="zstd", **options) as file:
        yield lambda table: file.write_table(table, row_group_size=max(1, len(table)))


def _metadata(about: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {b"ftml": json.dumps(dict(about), sort_keys=True).encode()}


def read(
    path: Path, *, kind: str, columns: Iterable[str] = ()
) -> tuple[pa.Table, dict]:
    """Return the table and its description.

    Raises ValueError that names the file when it is missing, truncated, not Parquet,
    not written by ftml, of another kind, or without one of `columns`.
    """
    table = _opened(path, pq.read_table)
    about = _about(path, table.schema, kind=kind)
    require(path, table, columns)
    return table, about


def check(path: Path, *, kind: str) -> dict[str, Any]:
    """Return the description of a file without reading its table; raises the errors of
    `read`.
    """
    return _about(path, _opened(path, pq.read_schema), kind=kind)


def _opened(path: Path, opener: Callable[[Path], T]) -> T:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; `dvc repro` makes it")
    try:
        return opener(path)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: truncated or not Parquet ({reason})") from None


def _about(path: Path, schema: pa.Schema, *, kind: str) -> dict[str, Any]:
    written = (schema.metadata or {}).get(b"ftml")
    if written is None:
        raise ValueError(
            f"{path}: Parquet, but not written by ftml (no 'ftml' metadata)"
        )
    about: dict[str, Any] = json.loads(written)
    if about["kind"] != kind:
        raise ValueError(f"{path}: holds {about['kind']}, expected {kind}")
    return about


def check_unpacked(n_rows: int, n_columns: int, n_bytes: int) -> None:
    """Raise ValueError for a file that unpacks to far more values than data do: a
    kilobyte can state a billion equal rows.
    """
    values = n_rows * max(1, n_columns)
    if values > max(MAX_VALUES, MAX_RATIO * n_bytes):
        raise ValueError(
            f"{n_rows} rows of {n_columns} columns in {n_bytes} bytes: expected at "
            f"most {MAX_RATIO} values for each byte of a file"
        )
    check_fits(
        8 * values, what=f"the table of {n_rows} rows", instead="read fewer columns"
    )


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
