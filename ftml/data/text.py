"""Raw text: files and columns of tables, in pieces of UTF-8 without byte-order mark.

A piece never ends inside a word. Plain and gzipped files are read line by line; of
`.csv`, `.parquet` and `.jsonl` files one column is read, and each row is a paragraph.
Only a line feed, a carriage return or both in this order end a line.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ftml.data.parquet import check_unpacked

PIECE = 1 << 20
"Bytes read at once."
MAX_WORD = 1 << 26
"Largest word, and line of a file of JSON lines: 64 MiB."

TABLES = (".csv", ".csv.gz", ".parquet", ".pq", ".jsonl", ".jsonl.gz")
PARAGRAPH = b"\n\n"
READ_ERRORS = (OSError, EOFError, zlib.error)


def read_lines(file: Path, *, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a file of text; the errors are those of `pieces`."""
    text = b"".join(_file_pieces(file, encoding)).decode()
    return re.split("\r\n|\n|\r", text)


def pieces(
    file: Path,
    *,
    column: str | None = None,
    encoding: str = "utf-8",
    count_blank: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """Yield the text of a file in pieces; no word or line end is cut in two.

    column: of a table (`TABLES`); None for a file of text. count_blank: is called with
    the number of rows of the column without text, if there are any. Raises ValueError
    that names the file, and the line if there is one, if the text is not in the
    encoding, has a zero byte (a binary file) or cannot be unzipped, or if the file has
    no such column.
    """
    if is_table(file) != (column is not None):
        need = (
            "a table needs `column`" if column is None else "only a table has columns"
        )
        raise ValueError(f"{file}: {need}")
    if column is None:
        yield from _file_pieces(file, encoding)
        return
    try:
        yield from _checked(file, _rows(file, column, encoding, count_blank))
    except READ_ERRORS as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None


def _file_pieces(file: Path, encoding: str) -> Iterator[bytes]:
    try:
        with _opened(file) as source:
            yield from _checked(file, _blocks(file, source, encoding))
    except READ_ERRORS as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None


def is_table(file: Path) -> bool:
    return file.name.lower().endswith(TABLES)


def _opened(file: Path) -> BinaryIO:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file)  # type: ignore[return-value]
    return open(file, "rb")


def _blocks(file: Path, source: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Yield the content of a file in UTF-8, without a byte-order mark.

    What is said to be UTF-8 is not decoded here: `_checked` does it.
    """
    if codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        yield from _transcoded(file, source, encoding)
        return
    start = source.read(len(codecs.BOM_UTF8))
    yield start.removeprefix(codecs.BOM_UTF8)
    while block := source.read(PIECE):
        yield block


def _transcoded(file: Path, source: BinaryIO, encoding: str) -> Iterator[bytes]:
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    block = b"first"
    while block:
        block = source.read(PIECE)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "replace").encode()
            line += _line_ends(before)
            raise ValueError(
                _wrong_encoding(file, line, encoding, error.object[error.start])
            ) from None
        encoded = text.encode()
        line += _line_ends(encoded)
        yield encoded


def _wrong_encoding(file: Path, line: int, encoding: str, byte: int) -> str:
    other = "utf-8" if "utf-8" not in codecs.lookup(encoding).name else "latin-1"
    return (
        f"{file}: line {line} is not {encoding.upper()} (byte 0x{byte:02x}): set the "
        f"encoding of the file, such as read: {{encoding: {other}}}"
    )


def _line_ends(text: bytes) -> int:
    """Return how many lines end in a text that does not end inside a line end."""
    returns = text.count(b"\r")
    return text.count(b"\n") + (returns - text.count(b"\r\n") if returns else 0)


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
            line += _line_ends(piece)
            yield piece
        else:
            rest += block
            if len(rest) > MAX_WORD:
                raise ValueError(
                    f"{file}: line {line} has no end of a word in "
                    f"{MAX_WORD >> 20} MiB, so this is no text"
                )
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
        line += _line_ends(piece[:zero])
        raise ValueError(
            f"{file}: line {line} holds a zero byte: not a text file in UTF-8; for "
            "UTF-16 set read: {encoding: utf-16}"
        )
    try:
        piece.decode()
    except UnicodeDecodeError as error:
        line += _line_ends(piece[: error.start])
        raise ValueError(
            _wrong_encoding(file, line, "utf-8", piece[error.start])
        ) from None


def _rows(
    file: Path,
    column: str,
    encoding: str,
    count_blank: Callable[[int], None] | None,
) -> Iterator[bytes]:
    """Yield the texts of a column, about one piece at a time, with a blank line after
    each.
    """
    name = file.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        texts = _json_rows(file, column, encoding)
    elif name.endswith((".parquet", ".pq")):
        texts = _parquet_rows(file, column)
    else:
        texts = _csv_rows(file, column, encoding)
    gathered, size, n_blank = [], 0, 0
    for text in texts:
        n_blank += not text or text.isspace()
        gathered.append(text.encode() + PARAGRAPH)
        size += len(gathered[-1])
        if size >= PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)
    if n_blank and count_blank is not None:
        count_blank(n_blank)


def _json_rows(file: Path, column: str, encoding: str) -> Iterator[str]:
    """Yield the texts of a column; a line without a character is no row."""
    with _opened(file) as source:
        lines = _split(_blocks(file, source, encoding))
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (UnicodeDecodeError, ValueError, RecursionError) as error:
                raise ValueError(
                    f"{file}: line {number} is not JSON in UTF-8 ({error})"
                ) from None
            if not isinstance(row, dict) or column not in row:
                raise ValueError(f"{file}: line {number} has no column {column!r}")
            yield _text(file, column, row[column])


def _split(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text that is given in blocks."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        if len(rest) > MAX_WORD:
            raise ValueError(f"a line is longer than {MAX_WORD >> 20} MiB")
    yield rest


def _parquet_rows(file: Path, column: str) -> Iterator[str]:
    try:
        opened = pq.ParquetFile(file)
        _require(file, column, opened.schema_arrow.names)
        check_unpacked(opened.metadata.num_rows, 1, file.stat().st_size)
        for batch in opened.iter_batches(columns=[column]):
            for value in batch.column(column).to_pylist():
                yield _text(file, column, value)
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: not a table ({reason})") from None


def _csv_rows(file: Path, column: str, encoding: str) -> Iterator[str]:
    """Yield the texts of a column. The values of other columns are not parsed."""
    reading = pyarrow.csv.ReadOptions(encoding=encoding)
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    try:
        names = pyarrow.csv.open_csv(file, reading, parsing).schema.names
        _require(file, column, names)
        types = pyarrow.csv.ConvertOptions(
            column_types={column: pa.string()}, include_columns=[column]
        )
        for batch in pyarrow.csv.open_csv(file, reading, parsing, types):
            for value in batch.column(column).to_pylist():
                yield _text(file, column, value)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        with _opened(file) as source:  # the error names the line that is not UTF-8
            for _ in _checked(file, _blocks(file, source, encoding)):
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
