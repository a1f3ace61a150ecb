"""Files of tables: their columns as Arrow arrays, before types are decided.

Columns of text files hold text. Columns of Parquet, Feather, JSON lines and Excel files
have the types that the file gives them. Only the chosen columns are converted.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import gzip
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from ftml.data.read_options import ReadOptions

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
SUFFIXES = (*TEXT, ".parquet", ".pq", ".feather", ".xlsx", ".jsonl", ".jsonl.gz")
BLOCK = 1 << 23
"Bytes that Arrow parses at once; a row must fit into them."

Choose = Callable[[list[str]], list[str]]
"What returns the chosen columns of all columns."


@dataclass(frozen=True)
class Loaded:
    """The chosen columns of a file.

    all_names: every column of the file. where: returns how a person finds rows, which
    are counted from 0: `line 6` of a text file. usual_missing: whether texts such as NA
    are read as missing; a file with types has a value of its own for that. separator:
    of the columns of a text file.
    """

    columns: dict[str, pa.ChunkedArray]
    all_names: list[str]
    where: Callable[[Sequence[int]], list[str]]
    usual_missing: bool = True
    separator: str = ","
    notes: list[str] = field(default_factory=list)


def load(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    """Return the chosen columns of a file, whose form follows from its name.

    Raises ValueError for a file that is no table of this form; the message names the
    line or the row.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise ValueError(f"expected a file {', '.join(SUFFIXES)}, got {path.name}")
    try:
        if name.endswith(TEXT):
            return _load_text(path, options, choose)
        if name.endswith((".jsonl", ".jsonl.gz")):
            return _load_json(path, options, choose)
        if name.endswith(".xlsx"):
            return _load_excel(path, options, choose)
        return _load_arrow(path, choose)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"not a table ({reason})") from None


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError for a column name that occurs more than once."""
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        positions = [i + 1 for i, name in enumerate(names) if name == twice[0]]
        raise ValueError(
            f"two columns are named {twice[0]!r} (columns "
            f"{' and '.join(map(str, positions))}): rename one in the file"
        )


def named(header: Iterable[str]) -> list[str]:
    """Return the names of a header without spaces at the ends; a column without a name
    is `Unnamed: i`, as pandas has it.
    """
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(map(str, header))]
    check_names(names)
    return names


# Text files


def _load_text(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    notes: list[str] = []
    data = _utf8(path, options.encoding, notes)
    first, header = _header(data)
    separator = _separator(path, options, header, notes)
    names, lines = next(_records(data, separator), ([], 0))
    names = named(names)
    chosen = choose(names)
    table = _parse(data, separator, names, chosen, skip=lines)
    _check_quotes(data, separator)
    if not table.num_rows:
        raise ValueError("no rows: the file has a header only")
    columns = {name: table.column(name) for name in chosen}

    def where(rows: Sequence[int]) -> list[str]:
        return _lines(data, separator, rows, n_rows=table.num_rows, first=first)

    return Loaded(columns, names, where, separator=separator, notes=notes)


def _utf8(path: Path, encoding: str, notes: list[str]) -> pa.Buffer:
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
                return pa.py_buffer(file.read())
            return pa.memory_map(str(path)).read_buffer()
        return pa.py_buffer(_transcoded(file, encoding))


NEWLINE = b"\n"


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


def _text(data: pa.Buffer) -> io.TextIOWrapper:
    return io.TextIOWrapper(pa.BufferReader(data), encoding="utf-8-sig", newline="")


def _header(data: pa.Buffer) -> tuple[int, str]:
    """Return the first line that is not blank, and its number."""
    try:
        for number, line in enumerate(_text(data), start=1):
            if line.strip():
                return number, line
    except UnicodeDecodeError:
        _refuse_bytes(data)
    raise ValueError("the file is empty")


def _refuse_bytes(data: pa.Buffer) -> None:
    """Raise ValueError for the first byte that is not UTF-8, if there is one."""
    _transcoded(pa.BufferReader(data), "utf-8")


def _separator(path: Path, options: ReadOptions, header: str, notes: list[str]) -> str:
    """Return the separator: the given one, that of the suffix, or the only one of the
    header, which is said.
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
    notes.append(f"columns are separated by {found[0]!r}, as in the header")
    return found[0]


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _records(
    data: pa.Buffer, separator: str, *, strict: bool = False
) -> Iterator[tuple[list[str], int]]:
    """Yield the fields of each row that is not blank, and the line where it ends."""
    reader = csv.reader(_text(data), delimiter=separator, strict=strict)
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
        if "straddl" in reason and block < min(data.size, 1 << 30):
            block *= 8
            continue
        if "Empty CSV file" in reason:
            raise ValueError("no rows: the file has a header only")
        if "UTF8" in reason:
            _refuse_bytes(data)
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
            if "end of data" in str(error):
                raise ValueError(
                    f"line {line + 1} opens a quote that is never closed"
                ) from None


def _lines(
    data: pa.Buffer, separator: str, rows: Sequence[int], *, n_rows: int, first: int
) -> list[str]:
    """Return `line 6` for each row, which are counted from 0 after the header."""
    codes = np.frombuffer(data, np.uint8)
    breaks = sum(
        int(np.count_nonzero(codes[i : i + BLOCK] == 10))
        for i in range(0, len(codes), BLOCK)
    ) + (codes[-1] != 10)
    if first == 1 and breaks == n_rows + 1:  # a line for each row
        return [f"line {row + 2}" for row in rows]
    wanted, found = set(rows), {}
    with _long_fields():
        for i, (record, line) in enumerate(_records(data, separator), start=-1):
            if i in wanted:
                found[i] = f"line {_begin(record, line)}"
                if len(found) == len(wanted):
                    break
    return [found.get(row, f"row {row + 1}") for row in rows]


# Files with types


def _rows(rows: Sequence[int]) -> list[str]:
    return [f"row {row + 1}" for row in rows]


def _load_arrow(path: Path, choose: Choose) -> Loaded:
    if path.name.lower().endswith(".feather"):
        table = pyarrow.feather.read_table(path, memory_map=True)
        names = table.column_names
    else:
        opened = pq.ParquetFile(path)
        names, table = opened.schema_arrow.names, None
    check_names(names)
    chosen = choose(list(names))
    table = opened.read(columns=chosen) if table is None else table.select(chosen)
    if not table.num_rows:
        raise ValueError("no rows")
    columns = {name: table.column(name) for name in chosen}
    return Loaded(columns, list(names), _rows, usual_missing=False)


def _load_json(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    notes: list[str] = []
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    names: dict[str, None] = {}
    for number, line in enumerate(_text(_utf8(path, options.encoding, notes)), start=1):
        if line.strip():
            record = _json_record(line, number)
            names.update(dict.fromkeys(record))
            records.append(record)
            numbers.append(number)
    if not records:
        raise ValueError("no rows")
    chosen = choose(list(names))

    def where(rows: Sequence[int]) -> list[str]:
        return [f"line {numbers[row]}" for row in rows]

    columns = {
        name: typed([record.get(name) for record in records], name, where)
        for name in chosen
    }
    return Loaded(columns, list(names), where, usual_missing=False, notes=notes)


def _json_record(line: str, number: int) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError(f"line {number} has a key twice")
        return found

    try:
        record = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number} is not JSON ({error.msg})") from None
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not a JSON object: {line.strip()[:40]}")
    return record


def _load_excel(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    import openpyxl  # 0.2 s, which only a reader of .xlsx pays
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"not an .xlsx file ({error})") from None
    notes: list[str] = []
    try:
        sheet = _sheet(book.sheetnames, options.sheet, notes)
        if hasattr(book[sheet], "reset_dimensions"):
            book[sheet].reset_dimensions()  # some programs write wrong ones
        rows = [
            (number, row)
            for number, row in enumerate(book[sheet].iter_rows(values_only=True), 1)
            if any(value is not None for value in row)
        ]
    finally:
        book.close()
    if len(rows) < 2:
        raise ValueError(f"no rows in sheet {sheet!r}")
    header = list(rows[0][1])
    while header and header[-1] is None:
        header.pop()
    for number, row in rows:
        if any(value is not None for value in row[len(header) :]):
            raise ValueError(
                f"row {number} of sheet {sheet!r} has more cells than the header, "
                f"which has {len(header)}"
            )
    names = named("" if name is None else str(name) for name in header)

    def where(wanted: Sequence[int]) -> list[str]:
        return [f"row {rows[row + 1][0]}" for row in wanted]

    columns = {}
    for name in choose(names):
        i = names.index(name)
        cells = [row[i] if i < len(row) else None for _, row in rows[1:]]
        columns[name] = typed(cells, name, where)
    return Loaded(columns, names, where, notes=notes)


def _sheet(names: list[str], wanted: str | None, notes: list[str]) -> str:
    if wanted is None and len(names) > 1:
        notes.append(
            f"sheet {names[0]!r} is read, the first of {len(names)}; read: {{sheet: "
            "...} chooses another"
        )
    if wanted is not None and wanted not in names:
        raise ValueError(f"no sheet {wanted!r}; it has {', '.join(names)}")
    return wanted or names[0]


def typed(
    values: list[Any], name: str, where: Callable[[Sequence[int]], list[str]]
) -> pa.ChunkedArray:
    """Return values as an Arrow array; a column of more than one type becomes text.

    Raises ValueError for a value that is a list or an object.
    """
    kinds = {_kind(value) for value in values if value is not None}
    if "nested" in kinds:
        row = next(i for i, v in enumerate(values) if _kind(v) == "nested")
        raise ValueError(
            f"column {name}, {where([row])[0]} holds {str(values[row])[:40]}; expected "
            "a number, text, a date or true or false"
        )
    if kinds == {"number"} and any(
        isinstance(v, float) or abs(v or 0) >= 2**63 for v in values
    ):
        array = pa.array([None if v is None else float(v) for v in values])
    elif kinds == {"date"}:
        array = pa.array([_moment(v) for v in values], pa.timestamp("us"))
    elif len(kinds) > 1 or kinds == {"text"}:
        array = pa.array([None if v is None else as_text(v) for v in values])
    else:
        array = pa.array(values)
    return pa.chunked_array([array])


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime.date):
        return "date"
    return "text" if isinstance(value, datetime.time | datetime.timedelta) else "nested"


def _moment(value: datetime.date | None) -> datetime.datetime | None:
    if value is None or isinstance(value, datetime.datetime):
        return value
    return datetime.datetime(value.year, value.month, value.day)


def as_text(value: Any) -> str:
    """Return a value as text; a whole number has no decimal point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)
