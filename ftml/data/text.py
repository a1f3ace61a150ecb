"""Raw text: files and columns of tables, in pieces that are checked to be UTF-8.

A piece never ends inside a word. Plain and gzipped files are read line by line; of
`.csv`, `.parquet` and `.jsonl` files one column is read, and each row is a paragraph.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

PIECE = 1 << 20
"Bytes read at once."

TABLES = (".csv", ".csv.gz", ".parquet", ".pq", ".jsonl", ".jsonl.gz")
PARAGRAPH = b"\n\n"


def pieces(file: Path, *, column: str | None = None) -> Iterator[bytes]:
    """Yield the text of a file in pieces; no word or line end is cut in two.

    column: of a table (`TABLES`); None for a file of text. Raises ValueError that names
    the file, and the line if there is one, if the text is not UTF-8, has a zero byte (a
    binary file) or cannot be unzipped, or if the file has no such column.
    """
    if is_table(file) != (column is not None):
        need = (
            "a table needs `column`" if column is None else "only a table has columns"
        )
        raise ValueError(f"{file}: {need}")
    try:
        if column is None:
            with _opened(file) as source:
                yield from _checked(file, _blocks(source))
        else:
            yield from _checked(file, _rows(file, column))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None


def is_table(file: Path) -> bool:
    return file.name.lower().endswith(TABLES)


def _opened(file: Path) -> BinaryIO:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file)  # type: ignore[return-value]
    return open(file, "rb")


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(PIECE):
        yield block


def _checked(file: Path, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks cut anew at ends of words, each valid UTF-8 without zero
    bytes.
    """
    rest, line = b"", 1
    for block in blocks:
        cut = _last_separator(block)
        if cut:
            piece, rest = rest + block[:cut], block[cut:]
            _check(file, piece, line=line)
            line += piece.count(b"\n")
            yield piece
        else:
            rest += block
    if rest:
        _check(file, rest, line=line)
        yield rest


def _last_separator(block: bytes) -> int:
    """Return the position after the last ASCII byte that is neither a letter nor an
    apostrophe; 0 if there is none.

    A carriage return is no separator either, because a line feed may follow it.
    """
    code = np.frombuffer(block, np.uint8)
    letter = (code | 0x20) - np.uint8(97) < 26
    found = np.flatnonzero((code < 128) & ~letter & (code != 39) & (code != 13))
    return int(found[-1]) + 1 if len(found) else 0


def _check(file: Path, piece: bytes, *, line: int) -> None:
    zero = piece.find(b"\0")
    if zero >= 0:
        line += piece.count(b"\n", 0, zero)
        raise ValueError(f"{file}: line {line} holds a zero byte: not a text file")
    try:
        piece.decode()
    except UnicodeDecodeError as error:
        line += piece.count(b"\n", 0, error.start)
        raise ValueError(
            f"{file}: line {line} is not UTF-8 (byte 0x{piece[error.start]:02x})"
        ) from None


def _rows(file: Path, column: str) -> Iterator[bytes]:
    """Yield the texts of a column, about one piece at a time, with a blank line after
    each.
    """
    name = file.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        texts = _json_rows(file, column)
    else:
        texts = _table_rows(file, column)
    gathered, size = [], 0
    for text in texts:
        gathered.append(text.encode() + PARAGRAPH)
        size += len(gathered[-1])
        if size >= PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _json_rows(file: Path, column: str) -> Iterator[str]:
    with _opened(file) as source:
        for number, line in enumerate(source, start=1):
            try:
                row = json.loads(line)
            except (UnicodeDecodeError, ValueError) as error:
                raise ValueError(
                    f"{file}: line {number} is not JSON in UTF-8 ({error})"
                ) from None
            if not isinstance(row, dict) or column not in row:
                raise ValueError(f"{file}: line {number} has no column {column!r}")
            yield _text(file, column, row[column])


def _table_rows(file: Path, column: str) -> Iterator[str]:
    try:
        if file.name.lower().endswith((".parquet", ".pq")):
            opened = pq.ParquetFile(file)
            _require(file, column, opened.schema_arrow.names)
            batches = opened.iter_batches(columns=[column])
        else:
            parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
            types = pyarrow.csv.ConvertOptions(column_types={column: pa.string()})
            opened = pyarrow.csv.open_csv(
                file, parse_options=parsing, convert_options=types
            )
            _require(file, column, opened.schema.names)
            batches = iter(opened)
        for batch in batches:
            for value in batch.column(column).to_pylist():
                yield _text(file, column, value)
    except pa.ArrowInvalid as error:
        if not file.name.lower().endswith((".parquet", ".pq")):
            with _opened(file) as source:  # the error names the line that is not UTF-8
                for _ in _checked(file, _blocks(source)):
                    pass
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: not a table ({reason})") from None


def _require(file: Path, column: str, names: list[str]) -> None:
    if column not in names:
        raise ValueError(f"{file}: no column {column!r}; it has {', '.join(names)}")


def _text(file: Path, column: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{file}: column {column!r} holds {value!r}, expected text")
    return value
