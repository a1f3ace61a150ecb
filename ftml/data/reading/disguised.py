"""Numbers and dates that are written as text: what they are, and the key to read them.

A column of text in which most values are numbers is hardly ever a category. It is read,
or refused by a sentence that names the column, a line, the value and a key of `read:`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ftml.data.reading.number_forms import Form, parse_numbers, written_form
from ftml.data.reading.options import ReadOptions
from ftml.data.reading.problems import Problem, most, quoted

UNIT = re.compile(
    r"(?:([^\W\d_]{1,3}) )?[+-]?([0-9]+[.,]?[0-9]*)(?: ?([^\W\d_]{1,4}))?"
)
"""A number with at most 3 letters before it, such as a currency, or 4 after it. With
longer ones it is a name, such as `City 12`."""

DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y"),
    *("%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%Y.%m.%d", "%Y-%m", "%Y/%m"),
    *("%m/%Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d %Y", "%b %d, %Y"),
    *("%d %B %Y", "%B %d %Y", "%B %d, %Y", "%d. %B %Y", "%b %Y", "%B %Y", "%b-%y"),
)
"Formats of dates that are proposed, with and without a time of day."
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M")
DATE_LIKE = re.compile(
    r"\d{1,4}[-/. ][A-Za-z\d]{1,9}[-/., ]+\d{2,4}\b.*|\d{1,2}/\d{4}|\d{4}[-/]\d{1,2}|"
    r"[A-Z][a-z]{2,8}\.?[- ](\d{1,2},?[- ])?\d{2,4}\b.*"
)


def disguised_numbers(
    name: str,
    texts: Sequence[str],
    counts: np.ndarray,
    is_number: np.ndarray,
    first: Any,
) -> Problem | None:
    """Return why a column of text is suspected to hold numbers, or None.

    texts: the different values, in the order of their first row; counts: how often each
    occurs; is_number: which are numbers already; first: a function that returns where
    the value at a position first occurs, such as `line 6`.
    """
    forms = {
        int(i): form
        for i in np.flatnonzero(~is_number)
        if (form := written_form(texts[int(i)]))
    }
    like = is_number.copy()
    like[list(forms)] = True
    total, n_like = int(counts.sum()), int(counts[like].sum())
    if not most(like, counts, texts):
        return None
    category = f"read: {{types: {{{quoted(name)}: category}}}}"
    others = list(dict.fromkeys(texts[int(i)] for i in np.flatnonzero(~like)))
    if not forms:
        i = int(np.argmin(like))
        return Problem(
            f"{n_like} of {total} values of column {name} are numbers; {first(i)} "
            f"holds {texts[i]!r}: set {missing_or_category(others, category)}"
        )
    i = int(next(iter(forms)))
    n_forms = int(counts[list(forms)].sum())
    keys, comma = _keys(name, list(forms.values()))
    rest = f"; {first(int(np.argmin(like)))} holds {others[0]!r}" if others else ""
    return Problem(
        f"column {name}, {first(i)} holds {texts[i]!r}: {n_forms} of {total} values "
        f"are numbers written this way{rest}: set {keys}, or {category}",
        comma,
    )


def missing_or_category(others: list[str], category: str) -> str:
    """Return the keys for texts beside numbers or dates; a text with a digit is rather
    a value of a category than the mark of a missing value.
    """
    if len(others) > 3:
        return f"read.na_values, or {category}"
    missing = f"read: {{na_values: {json.dumps(others, ensure_ascii=False)}}}"
    if any(character.isdigit() for text in others for character in text):
        return f"{category}, or {missing}"
    return f"{missing}, or {category}"


def measured_numbers(
    name: str, texts: Sequence[str], counts: np.ndarray, first: Any
) -> Problem | None:
    """Return why a column of text is suspected to hold numbers of one unit, or None.

    A unit is letters before or after a number. A column of few different values, such
    as 4cyl and 6cyl, holds categories.
    """
    found = [UNIT.fullmatch(text) for text in texts]
    units = {each[1] or each[3] for each in found if each}
    like = np.array([each is not None for each in found], bool)
    n_different = len({text for text, each in zip(texts, found, strict=True) if each})
    if len(units) != 1 or n_different <= 10 or not most(like, counts, texts):
        return None
    i = int(np.argmax(like))
    return Problem(
        f"column {name}, {first(i)} holds {texts[i]!r}: {counts[like].sum()} of "
        f"{counts.sum()} values are numbers written this way: set read: {{strip: "
        f"{quoted(units.pop())}}}, or read: {{types: {{{quoted(name)}: category}}}}"
    )


def _keys(name: str, forms: list[Form]) -> tuple[str, str]:
    """Return the keys that read numbers of these forms, and whether a decimal comma is
    among them.
    """
    strip = "".join(sorted({c for form in forms for c in form.strip}))
    thousands = sorted({form.thousands for form in forms if form.thousands})
    decimal = any(form.decimal == "," for form in forms)
    either = any(form.either for form in forms)
    if all(form.decimal == "." for form in forms):
        return 'read.decimal by column, such as read: {decimal: {other: ","}}', ""
    keys = [f"strip: {quoted(strip)}"] if strip else []
    keys += [f"thousands: {quoted(mark)}" for mark in thousands]
    if decimal:
        keys.append('decimal: ","')
    elif either and "," not in thousands and not thousands:
        marks = [[*keys, f'{key}: ","'] for key in ("thousands", "decimal")]
        shown = [f"read: {{{', '.join(each)}}}" for each in marks]
        meaning = ("1,234 is 1234", "1,234 is 1.234")
        return f"{shown[0]} ({meaning[0]}) or {shown[1]} ({meaning[1]})", "possible"
    elif either and "," not in thousands:
        keys.append('decimal: ","')
    sure = decimal and "," not in thousands
    return f"read: {{{', '.join(keys)}}}", "sure" if sure and not strip else ""


def disguised_dates(
    name: str, texts: Sequence[str], counts: np.ndarray, first: Any
) -> Problem | None:
    """Return why a column of text is suspected to hold dates, or None."""
    like = np.array([bool(DATE_LIKE.fullmatch(text)) for text in texts], bool)
    if not most(like, counts, texts):
        return None
    values = pd.Series(list(texts), dtype=object)
    fitting = _fitting(values[like].iloc[:200], DATES)
    fitting = [
        each
        for each in fitting
        if most(_parsed(values, each).notna().to_numpy(), counts, texts)
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda each: counts[_parsed(values, each).notna()].sum())
    bad = np.flatnonzero(_parsed(values, best).isna()).tolist()
    rest = f"; {first(bad[0])} holds {texts[bad[0]]!r}" if len(bad) else ""
    shown = [f"read: {{dates: {{{quoted(name)}: {json.dumps(f)}}}}}" for f in fitting]
    return Problem(
        f"column {name}, {first(0)} holds {texts[0]!r}, a date whose format is not "
        f"certain{rest}: set {' or '.join(shown[:2])}, or "
        f"read: {{types: {{{quoted(name)}: category}}}}"
    )


def _fitting(values: pd.Series, formats: Sequence[str]) -> list[str]:
    """Return the formats that fit most of the values, all of them first."""
    found = {
        each: fraction
        for day in formats
        for time in TIMES
        if (fraction := _parsed(values, each := day + time).notna().mean()) > 0.5
    }
    best = max(found.values(), default=0.0)
    return [each for each, fraction in found.items() if fraction == best]


def _parsed(values: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(values, format=form, errors="coerce", exact=True)


def check_disguised(
    column: pd.Series, *, name: str | None = None, options: ReadOptions | None = None
) -> None:
    """Raise ValueError for a column of text most of whose values are numbers or dates.

    The message names the column, the row (counted from 1), the value, and the key of
    `read:` to set.
    """
    options = options or ReadOptions()
    present = column.dropna().astype(str).str.strip()
    codes, texts = pd.factorize(present)
    if not len(texts):
        return
    counts = np.bincount(codes)
    rows = np.flatnonzero(column.notna())[np.unique(codes, return_index=True)[1]]
    called = str(column.name if name is None else name)

    def first(i: int) -> str:
        return f"row {rows[i] + 1}"

    is_number = np.isfinite(
        parse_numbers(
            list(texts),
            decimal=options.decimal_of(called),
            thousands=options.thousands_of(called),
            strip=options.strip,
        )
    )
    if is_number.all():
        return
    for problem in (
        disguised_numbers(called, list(texts), counts, is_number, first),
        disguised_dates(called, list(texts), counts, first),
    ):
        if problem is not None:
            raise ValueError(problem.text)
