"""Columns of text that are numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ftml.data.reading.decided import Decided, without
from ftml.data.reading.number_forms import parse_numbers
from ftml.data.reading.options import ReadOptions
from ftml.data.reading.problems import quoted
from ftml.data.reading.texts import Texts

N_TRIED = 100
"How many values must be numbers before all are tried."


def plain_numbers(
    column: Texts, options: ReadOptions, *, typed: bool, wanted: str | None = None
) -> Decided | None:
    """Return the column as numbers, if all are written as in Python and a point
    is the decimal mark. With zeros in front, as in postal codes, it is text.
    """
    try:
        found = pc.cast(column.values, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    whole = _whole(column, found)
    point = options.decimal_of(column.name) == "." != options.thousands_of(column.name)
    if np.isnan(found).any() or not (whole or point):
        return None
    notes = []
    if whole and wanted is None:
        zeros = pc.match_substring_regex(column.values, r"^[+-]?0[0-9]+$")
        if pc.any(zeros).as_py():
            return _leading_zeros(column, column.values.filter(zeros)[0].as_py())
    if typed and wanted is None:
        notes.append(
            f"column {column.name} is text in the file and read as numbers; "
            f"read: {{types: {{{quoted(column.name)}: category}}}} keeps the text"
        )
    if whole:
        try:
            bare = pc.utf8_ltrim(column.values, characters="+")
            found = pc.cast(bare, pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            notes.append(
                f"column {column.name}: whole numbers of more than 64 bits are read "
                "as floating-point numbers"
            )
    if whole and wanted is None and _days(found):
        notes.append(
            f"column {column.name} is read as numbers; read: {{dates: "
            f'{{{quoted(column.name)}: "%Y%m%d"}}}} reads them as dates'
        )
    point = not whole and pc.any(pc.match_substring(column.values, ".")).as_py()
    values = without(column.spread(found), options.missing_of(column.name))
    return Decided(values, notes, has_point=bool(point))


def marked_numbers(
    column: Texts, options: ReadOptions, *, all_rows: bool
) -> Decided | None:
    """Return numbers with the marks of the options, None if a value is none.

    all_rows: whether the values must be numbers; ValueError then names one that is
    none.
    """
    marks = {
        "decimal": options.decimal_of(column.name),
        "thousands": options.thousands_of(column.name),
        "strip": options.strip,
    }
    texts = column.values.to_pylist()
    some = parse_numbers(texts[:N_TRIED], **marks)
    if not all_rows and np.isnan(some).any():
        return None
    numbers = parse_numbers(texts, **marks)
    wrong = np.isnan(numbers)
    if wrong.any() and all_rows:
        mark = marks["decimal"]
        decimal = "" if mark == "." else f" with the decimal mark {mark!r}"
        column.refuse(wrong, f"a number{decimal}")
    if wrong.any():
        return None
    fractions = any(marks["decimal"] in text or "e" in text.lower() for text in texts)
    if not fractions and (np.abs(numbers) < 2**53).all():
        numbers = numbers.astype(np.int64)
    values = column.spread(numbers)
    return Decided(without(values, options.missing_of(column.name)))


def _whole(column: Texts, values: np.ndarray) -> bool:
    """Return whether all values are written as whole numbers."""
    if not len(values) or not (np.trunc(values) == values).all():
        return False
    whole = pc.match_substring_regex(column.values, r"^[+-]?[0-9]+$")
    return bool(pc.all(whole).as_py())


def _leading_zeros(column: Texts, text: str) -> Decided:
    key = f"read: {{types: {{{quoted(column.name)}: number}}}}"
    return Decided(
        column.spread(np.array(column.values.to_pylist(), object)),
        [
            f"column {column.name} is read as text, because values such as {text!r} "
            f"begin with 0; {key} reads them as numbers"
        ],
    )


def _days(values: np.ndarray) -> bool:
    """Return whether all whole numbers are days such as 20240331."""
    if not (len(values) and ((values > 19e6) & (values < 21e6)).all()):
        return False
    texts = pd.Series(values.astype(np.int64).astype(str))
    days = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
    return bool(days.notna().all())
