"""The columns of a table as its user has them: numbers, booleans, categories and dates.

In memory the values are codes, a float64 array (n, c) with a column for each column of
the table. A number is itself, a boolean 0 or 1, a category the index of its value in
`Column.values`, a date its seconds since 1970. NaN is a missing value, and `UNKNOWN` a
category that is not among the values. `ftml.data.preprocessing` turns codes into
features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data.dates import ISO, parse_dates

KINDS = ("number", "boolean", "category", "date")
UNKNOWN = -1.0
MAX_CATEGORIES = 100
"Largest number of different values of a category unless the user asks for more."

FEW_ROWS = 20
"With at most this many rows, every column of text can be a category."

Place = Callable[[int], str]
"What returns where a person finds a row of a frame, which is counted from 0."

BOOLEANS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
"How a boolean may be written where rows to predict come as text."


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, its kind, which is one of KINDS, and the values of
    a category in sorted order.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}{nearest(self.kind, KINDS)}")

    def to_json(self) -> dict[str, object]:
        """Return the column as JSON."""
        values = {"values": list(self.values)} if self.kind == "category" else {}
        return {"name": self.name, "kind": self.kind, **values}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the column that `to_json` describes."""
        return cls(value["name"], value["kind"], tuple(value.get("values", ())))


def numbers(names: Iterable[str]) -> tuple[Column, ...]:
    """Return columns of numbers with these names."""
    return tuple(Column(name, "number") for name in names)


def describe(
    frame: pd.DataFrame, *, max_categories: int = MAX_CATEGORIES
) -> tuple[Column, ...]:
    """Return the columns of a frame, their kinds from the types of its columns.

    A column of text or of pandas' categories is a category. Raises ValueError for a
    frame without columns; for one that cannot be a category, because it has more than
    `max_categories` different values or hardly any value twice; and for a column of any
    other type. The error names every column at fault.
    """
    if not len(frame.columns):
        raise ValueError("no column is left to be a feature")
    found, errors = [], []
    for name, series in frame.items():
        try:
            found.append(_describe_one(str(name), series, max_categories))
        except ValueError as error:
            errors.append(str(error))
    if errors:
        raise ValueError("; ".join(errors))
    return tuple(found)


def _describe_one(name: str, series: pd.Series, max_categories: int) -> Column:
    kind = kind_of(name, series)
    if kind != "category":
        return Column(name, kind)
    seen = series.dropna()
    values = sorted(set(_texts(seen)))
    _check_categories(name, values, rows=len(seen), most=max_categories)
    return Column(name, kind, tuple(values))


def kind_of(name: str, series: pd.Series) -> str:
    """Return the kind of a column by the type of its values: one of KINDS.

    Raises ValueError for a type of which no column is.
    """
    if pd.api.types.is_bool_dtype(series):
        return "boolean"
    if pd.api.types.is_numeric_dtype(series):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(series):
        return "date"
    seen = series.dropna()
    if not len(seen):
        return "number"
    if _all_of(seen, (bool, np.bool_)):
        return "boolean"
    if isinstance(series.dtype, pd.CategoricalDtype) or _all_of(seen, str):
        return "category"
    other = next(value for value in seen if not isinstance(value, str))
    raise ValueError(
        f"column {name}: expected numbers, text, booleans or dates, got "
        f"{type(other).__name__} ({other!r})"
    )


def _all_of(values: pd.Series, kind: type | tuple[type, ...]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _check_categories(name: str, values: list[str], *, rows: int, most: int) -> None:
    """Raise ValueError for text that identifies rows rather than groups them."""
    if rows <= FEW_ROWS:
        return
    said = f"column {name}: {len(values)} different texts in {rows} rows"
    if len(values) > rows / 2:
        raise ValueError(
            f"{said}, such as {values[0]!r}; that identifies rows. List the column in "
            f"`drop`"
        )
    if len(values) > most:
        raise ValueError(
            f"{said}, such as {values[0]!r}; at most {most} become features. List the "
            f"column in `drop`, or raise `max_categories`"
        )


def row_number(row: int) -> str:
    """Return where a row of a frame is that is from no file: `row 1` for row 0."""
    return f"row {row + 1}"


def encode(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    *,
    dates: Mapping[str, str] | None = None,
    place: Place = row_number,
) -> np.ndarray:
    """Return the codes (n, c) of these columns of a frame, which may have others.

    dates: the format of a column of dates that are texts, by column, in the codes of
    strptime; by default such texts are in ISO 8601. place: where a row is, for errors;
    by default its number, 1 for the first. Raises ValueError for columns that are not
    there, for an infinite number, and for a value that is not of the column's kind,
    with its place.
    """
    named = {str(name): name for name in frame.columns}
    missing = [column.name for column in columns if column.name not in named]
    if missing:
        close = [nearest(name, list(named)) for name in missing[:1]]
        raise ValueError(f"missing columns: {', '.join(missing)}{close[0]}")
    codes = np.empty((len(frame), len(columns)))
    for j, column in enumerate(columns):
        series = frame[named[column.name]]
        if column.kind == "date":
            form = (dates or {}).get(column.name)
            codes[:, j] = _dates(series, column, form, place)
        else:
            codes[:, j] = ENCODERS[column.kind](series, column, place)
    return codes


def _numbers(series: pd.Series, column: Column, place: Place) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(series):
        codes = series.to_numpy(np.float64, na_value=np.nan)
    else:
        parsed = pd.to_numeric(series, errors="coerce")
        _check_all_read(series, parsed, column, "a number", place)
        codes = parsed.to_numpy(np.float64)
    if (infinite := np.isinf(codes)).any():
        row = int(infinite.argmax())
        raise ValueError(
            f"column {column.name}, {place(row)}: expected a finite number, got "
            f"{codes[row]:g}"
        )
    return codes


def _booleans(series: pd.Series, column: Column, place: Place) -> np.ndarray:
    texts = series.map(lambda value: str(value).strip().lower(), na_action="ignore")
    parsed = texts.map(BOOLEANS)
    _check_all_read(series, parsed, column, "true or false", place)
    return parsed.to_numpy(np.float64, na_value=np.nan)


def _categories(series: pd.Series, column: Column, place: Place) -> np.ndarray:
    index: dict[str | None, float] = {
        value: float(code) for code, value in enumerate(column.values)
    }
    index[None] = np.nan
    return np.array([index.get(text, UNKNOWN) for text in _texts(series)])


def _dates(
    series: pd.Series, column: Column, written: str | None, place: Place
) -> np.ndarray:
    expected = f"a date as {written}" if written else "a date such as 2024-05-31"
    if pd.api.types.is_numeric_dtype(series) and series.notna().any():
        parsed = pd.Series(pd.NaT, index=series.index)
    elif pd.api.types.is_datetime64_any_dtype(series):
        parsed = pd.to_datetime(series, utc=True)
    else:
        parsed = parse_dates(series, form=written or ISO)
    _check_all_read(series, parsed, column, expected, place)
    # In microseconds: nanoseconds of 64 bits end in the years 1677 and 2262.
    plain = pd.to_datetime(parsed, utc=True).dt.tz_localize(None)
    moments = plain.to_numpy("datetime64[us]")
    seconds = moments.astype(np.int64) / MICROSECONDS
    return np.where(np.isnat(moments), np.nan, seconds)


MICROSECONDS = 1e6
"In a second."

ENCODERS = {"number": _numbers, "boolean": _booleans, "category": _categories}
"The function that encodes the values of a column, by its kind."


def _texts(series: pd.Series) -> list[Any]:
    """Return the values as text, a whole number without its fraction; None if missing.

    A column of whole numbers with a missing value is one of floats in pandas, so that 1
    would be `1.0`.
    """
    return [
        None
        if pd.isna(value)
        else str(int(value))
        if isinstance(value, float | np.floating) and float(value).is_integer()
        else str(value)
        for value in series.astype(object)
    ]


def _check_all_read(
    series: pd.Series, parsed: pd.Series, column: Column, expected: str, place: Place
) -> None:
    """Raise ValueError for the first value that is there and was not read."""
    wrong = np.flatnonzero(series.notna().to_numpy() & parsed.isna().to_numpy())
    if len(wrong):
        value = series.iloc[int(wrong[0])]
        raise ValueError(
            f"column {column.name}, {place(int(wrong[0]))}: expected {expected}, got "
            f"{value!r}"
        )


def decode(codes: np.ndarray, columns: Sequence[Column]) -> pd.DataFrame:
    """Return the frame whose codes (n, c) `encode` returns, each column of its type.

    Numbers are float64, booleans pandas' `boolean`, dates datetime64 in UTC without a
    zone, categories text; a missing value is NaN, NA or NaT, and so is an unknown
    category.
    """
    decoded = {
        column.name: _decode_one(codes[:, j], column)
        for j, column in enumerate(columns)
    }
    return pd.DataFrame(decoded)


def moments_of(seconds: np.ndarray) -> pd.Series:
    """Return the dates of seconds since 1970, (n,); NaT for NaN."""
    absent = np.isnan(seconds)
    whole = np.rint(np.where(absent, 0.0, seconds) * MICROSECONDS).astype(np.int64)
    return pd.Series(whole.astype("datetime64[us]")).mask(absent)


def _decode_one(codes: np.ndarray, column: Column) -> pd.Series:
    if column.kind == "number":
        return pd.Series(codes)
    if column.kind == "boolean":
        return pd.Series(codes).astype("boolean")
    if column.kind == "date":
        return moments_of(codes)
    values = np.array([*column.values, None], dtype=object)
    index = np.where(np.isnan(codes), UNKNOWN, codes).astype(np.int64)
    return pd.Series(values[index], dtype="str")
