"""Text files of tables: CSV, TSV and the like. All columns are text.

Arrow parses the rows. Python's csv module reads the header, and finds lines for
messages.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ftml.data.reading.loaded import Choose, Loaded, named
from ftml.data.reading.number_forms import NUMBER
from ftml.data.reading.options import ReadOptions

BLOCK = 1 << 23
"Bytes that Arrow parses at once; a row must fit into them."
MAX_ROW = 1 << 26
"Largest row, 64 MiB."
MAX_RATIO = 200
"How many times its size a file of more than MAX_ROW may unpack to."


def load(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    notes: list[str] = []
    data = utf8(path, options.encoding, notes)
    first, header = _header(data)
    detected: dict[str, str] = {}
    separator = _separator(path, options, header, detected)
    if detected:
        notes.append(f"columns are separated by {separator!r}, as in the header")
    header_lines = 0
    if options.names is None:
        fields, header_lines = next(_records(data, separator), ([], 0))
        _check_header(fields)
        names = named(fields)
    else:
        names = named(options.names)
    chosen = choose(names)
    table = _parse(data, separator, names, chosen, skip=header_lines)
    _check_quotes(data, separator)
    if not table.num_rows:
        raise ValueError("no rows: the file has a header only")
    columns = {name: table.column(name) for name in chosen}
    n_before = 1 if header_lines else 0

    @cache
    def simple() -> bool:
        return first == 1 and _n_lines(data) == table.num_rows + n_before

    def where(rows: Sequence[int]) -> list[str]:
        if simple():  # a line for each row
            return [f"line {row + n_before + 1}" for row in rows]
        return _lines(data, separator, rows, n_before=n_before)

    return Loaded(
        columns, names, where, separator=separator, notes=notes, detected=detected
    )


def _check_header(names: Sequence[str]) -> None:
    """Raise ValueError for a header that is a row of data: half of it are numbers, one
    of them is not whole, and no field is empty.
    """
    numbers = [name for name in map(str.strip, names) if NUMBER.fullmatch(name)]
    fractions = [name for name in numbers if not name.isdigit()]
    if fractions and all(names) and 2 * len(numbers) >= len(names):
        raise ValueError(
            f"the first line holds {fractions[0]!r}, a number, instead of names: set "
            "read: {names: [...]} if the file has no header"
        )


def utf8(path: Path, encoding: str, notes: list[str]) -> pa.Buffer:
    """Return the content of a text file in UTF-8; a plain file is not copied."""
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    zipped = path.name.lower().endswith(".gz")
    with gzip.open(path) if zipped else open(path, "rb") as file:
        start = file.read(1 << 16)
        file.seek(0)
        wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if wide and codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-16"
            notes.append("the encoding is UTF-16, by its byte-order mark")
        if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
            if b"\0" in start:
                raise ValueError(
                    f"line {1 + start.count(NEWLINE, 0, start.find(0))} holds a zero "
                    "byte: not a text file in UTF-8; for UTF-16 without a byte-order "
                    "mark set read: {encoding: utf-16-le}"
                )
            if zipped:
                return pa.py_buffer(_decompressed(file, path.stat().st_size))
            return pa.memory_map(str(path)).read_buffer()
        return pa.py_buffer(_transcoded(file, encoding))


NEWLINE = b"\n"


def _decompressed(file: Any, compressed: int) -> bytes:
    """Return the content of a compressed file. ValueError if it has far more bytes than
    data do.
    """
    written = io.BytesIO()
    while block := file.read(BLOCK):
        written.write(block)
        if written.tell() > max(MAX_ROW, MAX_RATIO * compressed):
            raise ValueError(
                f"its {compressed} bytes decompress to more than {MAX_RATIO} times as "
                "many: no table; if it is one, decompress it"
            )
    return written.getvalue()


def _transcoded(file: Any, encoding: str) -> bytes:
    """Return the content of a file in UTF-8. ValueError names the line of a wrong
    byte.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    written, lines = io.BytesIO(), 1
    while True:
        block = file.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "replace")
            line, byte = lines + before.count("\n"), error.object[error.start]
            raise ValueError(
                f"line {line} is not {_shown(encoding)} (byte 0x{byte:02x}): set the "
                f"encoding of the file, such as read: {{encoding: {_other(encoding)}}}"
            ) from None
        lines += text.count("\n")
        written.write(text.encode())
        if not block:
            return written.getvalue()


def _other(encoding: str) -> str:
    known = ("latin-1", "utf-8")
    return known[codecs.lookup(encoding).name in ("iso8859-1", "cp1252")]


def _shown(encoding: str) -> str:
    return "UTF-8" if codecs.lookup(encoding).name == "utf-8" else encoding


def text_of(data: pa.Buffer, *, errors: str = "strict") -> io.TextIOWrapper:
    """Return the content of a file to be read by line, without a byte-order mark."""
    return io.TextIOWrapper(
        pa.BufferReader(data), encoding="utf-8-sig", newline="", errors=errors
    )


def lines_of(data: pa.Buffer) -> Iterator[str]:
    """Yield the lines of a file. ValueError names a line that is too long to be one."""
    text = text_of(data)
    number = 0
    while line := text.readline(MAX_ROW):
        number += 1
        if len(line) == MAX_ROW:
            raise ValueError(too_long(f"line {number}"))
        yield line


def too_long(what: str) -> str:
    """Return the message about a row that is too long to be one."""
    return f"{what} is longer than {MAX_ROW >> 20} MiB, so this is no table"


def _header(data: pa.Buffer) -> tuple[int, str]:
    """Return the first line that is not blank, and its number."""
    try:
        for number, line in enumerate(lines_of(data), start=1):
            if line.strip():
                return number, line
    except UnicodeDecodeError:
        refuse_bytes(data)
    raise ValueError("the file is empty")


def refuse_bytes(data: pa.Buffer) -> None:
    """Raise ValueError for the first byte that is not UTF-8, if there is one."""
    _transcoded(pa.BufferReader(data), "utf-8")


def _separator(
    path: Path, options: ReadOptions, header: str, detected: dict[str, str]
) -> str:
    """Return the separator: the given one, that of the suffix, or the only one of the
    header, which is put into `detected`.
    """
    if options.sep is not None:
        return options.sep
    usual = "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ","
    bare = re.sub(r'"[^"]*"', "", header)
    if usual in bare:
        return usual
    found = [each for each in (";", "\t", "|", ",") if each in bare]
    if len(found) > 1:
        raise ValueError(
            f"the header has {' and '.join(map(repr, found))} and no {usual!r}: set "
            "the separator, such as read: {sep: ';'}"
        )
    if not found:
        return usual
    detected["sep"] = found[0]
    return found[0]


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(MAX_ROW)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _records(
    data: pa.Buffer, separator: str, *, strict: bool = False
) -> Iterator[tuple[list[str], int]]:
    """Yield the fields of each row that is not blank, and the line where it ends."""
    text = text_of(data, errors="replace")
    reader = csv.reader(text, delimiter=separator, strict=strict)
    for record in reader:
        if record:
            yield record, reader.line_num


def _parse(
    data: pa.Buffer, separator: str, names: list[str], chosen: list[str], *, skip: int
) -> pa.Table:
    """Return the chosen columns as text; ValueError names the line of a wrong row."""
    block = BLOCK
    while True:
        try:
            return pyarrow.csv.read_csv(
                pa.BufferReader(data),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=names, skip_rows=skip, block_size=block
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=separator, newlines_in_values=True
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    include_columns=chosen,
                ),
            )
        except pa.ArrowInvalid as error:
            reason = str(error)
        if "straddl" in reason and block < min(data.size, MAX_ROW):
            block = min(8 * block, MAX_ROW)
            continue
        if "straddl" in reason and data.size > MAX_ROW:
            if data.size < 8 * MAX_ROW:  # it reads the whole file
                _check_quotes(data, separator)
            raise ValueError(f"{too_long('a row')}; or a quote is never closed")
        if "Empty CSV file" in reason:
            raise ValueError("no rows: the file has a header only")
        if "UTF8" in reason:
            refuse_bytes(data)
        _refuse_rows(data, separator, len(names), skip=skip)
        raise ValueError(f"not a table ({reason.splitlines()[0]})")


def _refuse_rows(data: pa.Buffer, separator: str, expected: int, *, skip: int) -> None:
    """Raise ValueError for the first row with more or fewer fields than the header, and
    if there is no row after the line `skip`.
    """
    _check_quotes(data, separator)
    end = 0
    with _long_fields():
        for record, line in _records(data, separator):
            if len(record) != expected:
                raise ValueError(
                    f"line {_begin(record, line)} has {len(record)} fields, the header "
                    f"has {expected} (columns are separated by {separator!r}; another "
                    "separator is set by read: {sep: ...})"
                )
            end = line
    if end == skip:
        raise ValueError("no rows: the file has a header only")


def _begin(record: Sequence[str], line: int) -> int:
    """Return the line where a row begins that ends in a line."""
    return line - sum(len(re.findall(r"\r\n|\r|\n", value)) for value in record)


def _check_quotes(data: pa.Buffer, separator: str) -> None:
    """Raise ValueError if a quote is opened and not closed before the file ends."""
    codes = np.frombuffer(data, np.uint8)
    quotes = sum(
        int(np.count_nonzero(codes[i : i + BLOCK] == ord('"')))
        for i in range(0, len(codes), BLOCK)
    )
    if quotes % 2 == 0:
        return
    line = 0
    with _long_fields():
        try:
            for _, end in _records(data, separator, strict=True):
                line = end
        except csv.Error as error:
            if "end of data" in str(error) or "field limit" in str(error):
                raise ValueError(
                    f"line {line + 1} opens a quote that is never closed"
                ) from None


def _n_lines(data: pa.Buffer) -> int:
    codes = np.frombuffer(data, np.uint8)
    breaks = sum(
        int(np.count_nonzero(codes[i : i + BLOCK] == 10))
        for i in range(0, len(codes), BLOCK)
    )
    return breaks + int(codes[-1] != 10)


def _lines(
    data: pa.Buffer, separator: str, rows: Sequence[int], *, n_before: int
) -> list[str]:
    """Return `line 6` for each row of data, which are counted from 0.

    n_before: how many records are before the first row.
    """
    wanted, found = set(rows), {}
    with _long_fields():
        for i, (record, line) in enumerate(_records(data, separator), start=-n_before):
            if i in wanted:
                found[i] = f"line {_begin(record, line)}"
                if len(found) == len(wanted):
                    break
    return [found.get(row, f"row {row + 1}") for row in rows]
