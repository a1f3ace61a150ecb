"""Decides the type of a column: by its type in the file, or by its texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ftml.data.reading.decided import Decided, type_of, without
from ftml.data.reading.options import ReadOptions
from ftml.data.reading.problems import Problem
from ftml.data.reading.text_kinds import decide_texts
from ftml.data.reading.text_numbers import plain_numbers
from ftml.data.reading.texts import Texts, Where
from ftml.data.reading.typed_files import as_text


def decide(
    name: str,
    column: pa.ChunkedArray,
    options: ReadOptions,
    *,
    where: Where,
    usual_missing: bool,
) -> Decided | Problem:
    """Return a column with its type, or why it cannot be decided.

    where: see `Loaded`. usual_missing: whether texts such as NA are missing. Raises
    ValueError for a value that is not of the type that the options give the column.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        usual = name not in options.types and name not in options.dates
        if usual and not options.missing_of(name):  # the fast path of most columns
            every = Texts.of_rows(name, column, where)
            if found := plain_numbers(every, options, typed=not usual_missing):
                return found
        return decide_texts(
            Texts.of(name, column, where), options, usual_missing=usual_missing
        )
    if getattr(pa.types, "is_string_view", lambda _: False)(kind):
        return decide(
            name,
            column.cast(pa.large_string()),
            options,
            where=where,
            usual_missing=usual_missing,
        )
    return _typed(name, column, options, where)


def _typed(
    name: str, column: pa.ChunkedArray, options: ReadOptions, where: Where
) -> Decided | Problem:
    """Return a column to which the file gives a type."""
    kind, notes = column.type, []
    wanted = options.types.get(name)
    if pa.types.is_null(kind):
        return Decided(np.full(len(column), np.nan))
    if pa.types.is_boolean(kind):
        values = _nullable(column, np.dtype(bool), pd.BooleanDtype())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = _numbers(column)
    elif pa.types.is_decimal(kind):
        notes.append(f"column {name} is {kind}: read as floating-point numbers")
        values = _numbers(pc.cast(column, pa.float64(), safe=False))
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        if getattr(kind, "tz", None):
            notes.append(f"column {name}: times of zone {kind.tz} are read as UTC")
        instants = _microseconds(name, column, where)
        values = pd.Series(instants.to_numpy()).astype("datetime64[us]")
    else:
        raise ValueError(
            f"column {name} is {kind}; expected numbers, text, dates or booleans: "
            "leave the column out"
        )
    values = without(values, options.missing_of(name))
    if wanted is not None and wanted != type_of(values):
        texts = [None if pd.isna(v) else as_text(v) for v in values.tolist()]
        if wanted == "category":
            return Decided(pd.Series(texts, dtype=object), notes)
        again = pa.chunked_array([pa.array(texts, pa.string())])
        return decide_texts(Texts.of(name, again, where), options, usual_missing=False)
    return Decided(values, notes)


def _microseconds(name: str, column: pa.ChunkedArray, where: Where) -> pa.ChunkedArray:
    """Return dates in microseconds; ValueError names one that 64 bits cannot hold."""
    wanted = pa.timestamp("us")
    if getattr(column.type, "unit", "") == "ns":
        return pc.cast(column, wanted, safe=False)  # further digits are cut off
    try:
        return pc.cast(column, wanted)
    except pa.ArrowInvalid as error:
        days = pa.types.is_date32(column.type)
        times = column.cast(pa.int32() if days else pa.int64()).to_numpy()
        row = int(np.nanargmax(np.abs(times)))
        raise ValueError(
            f"column {name}, {where([row])[0]}: expected a date of the years -290307 "
            f"to 294246 ({error})"
        ) from None


def _nullable(column: pa.ChunkedArray, plain: np.dtype, nullable: Any) -> pd.Series:
    """Return a column as a type of numpy, or of pandas if values are missing."""
    zero = pa.scalar(plain.type(0).item(), column.type)
    filled = pc.fill_null(column, zero).to_numpy().astype(plain)
    if not column.null_count:
        return pd.Series(filled)
    return pd.Series(filled).astype(nullable).mask(column.is_null().to_numpy())


def _numbers(column: pa.ChunkedArray) -> pd.Series:
    """Return numbers as int64, Int64 (some are missing) or float64."""
    if pa.types.is_integer(column.type):
        try:
            return _nullable(
                pc.cast(column, pa.int64()), np.dtype(np.int64), pd.Int64Dtype()
            )
        except pa.ArrowInvalid:  # uint64 beyond int64
            column = pc.cast(column, pa.float64(), safe=False)
    return pd.Series(pc.cast(column, pa.float64(), safe=False).to_numpy())
