"""Files of tables whose values have types: Parquet, Feather and JSON lines, and how
typed values become columns. `excel.py` reads Excel files.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from ftml.data.parquet import check_unpacked
from ftml.data.reading.delimited import lines_of, refuse_bytes, utf8
from ftml.data.reading.loaded import Choose, Loaded, check_names
from ftml.data.reading.options import ReadOptions


def _rows(rows: Sequence[int]) -> list[str]:
    return [f"row {row + 1}" for row in rows]


def load_arrow(path: Path, choose: Choose) -> Loaded:
    if path.name.lower().endswith(".feather"):
        table = pyarrow.feather.read_table(path, memory_map=True)
        names = table.column_names
    else:
        opened = pq.ParquetFile(path)
        names, table = opened.schema_arrow.names, None
    check_names(names)
    chosen = choose(list(names))
    if table is None:
        check_unpacked(opened.metadata.num_rows, len(chosen), path.stat().st_size)
    table = opened.read(columns=chosen) if table is None else table.select(chosen)
    if not table.num_rows:
        raise ValueError("no rows")
    columns = {name: table.column(name) for name in chosen}
    return Loaded(columns, list(names), _rows, usual_missing=False)


def load_json(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    notes: list[str] = []
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    names: dict[str, None] = {}
    data = utf8(path, options.encoding, notes)
    try:
        for number, line in enumerate(lines_of(data), start=1):
            if line.strip():
                record = _json_record(line, number)
                names.update(dict.fromkeys(record))
                records.append(record)
                numbers.append(number)
    except UnicodeDecodeError:
        refuse_bytes(data)
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
    except RecursionError:
        raise ValueError(f"line {number} is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not a JSON object: {line.strip()[:40]}")
    return record


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
