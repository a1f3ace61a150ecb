"""Decides what a column of text holds by all of its values: numbers, booleans, dates or
categories.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ftml.data.dates import ISO as ISO_8601
from ftml.data.dates import parse_dates
from ftml.data.reading.decided import Decided
from ftml.data.reading.disguised import (
    DATE_LIKE,
    UNIT,
    disguised_dates,
    disguised_numbers,
    measured_numbers,
    missing_or_category,
)
from ftml.data.reading.number_forms import parse_numbers
from ftml.data.reading.options import USUAL_MISSING, ReadOptions
from ftml.data.reading.problems import Problem, most, quoted
from ftml.data.reading.text_numbers import marked_numbers, plain_numbers
from ftml.data.reading.texts import Texts
from ftml.data.reading.typed_files import as_text

ISO = (
    r"^\d{4}[-/]\d{2}[-/]\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?( ?(Z|[+-]\d{2}:?\d{2}))?)?$"
)
ZONE = r"(Z|[+-]\d{2}:?\d{2})$"
NO_LETTERS = r"^[^\pL]*[0-9][^\pL]*$|^[+-]?[0-9.]+[eE][+-]?[0-9]+$"
BOOLEANS = {"true": True, "false": False}
MORE_BOOLEANS = {
    **BOOLEANS,
    **dict.fromkeys(("t", "yes", "y", "1"), True),
    **dict.fromkeys(("f", "no", "n", "0"), False),
}


def decide_texts(
    column: Texts, options: ReadOptions, *, usual_missing: bool
) -> Decided | Problem:
    """Return a column of text with the type that the options give it or that all of its
    values have, or why it is not certain. usual_missing: whether texts such as NA are
    missing.
    """
    stripped = pc.utf8_trim_whitespace(column.values)
    texts = {"", *(as_text(each) for each in options.missing_of(column.name))}
    if usual_missing and not options.keeps_na(column.name):
        texts.update(USUAL_MISSING)
    absent = pc.is_in(stripped, pa.array(sorted(texts), stripped.type)).to_numpy(
        zero_copy_only=False
    )
    kept = np.flatnonzero(~absent)
    position = np.full(len(stripped) + 1, -1, np.int64)  # -1 stays -1
    position[kept] = np.arange(len(kept))
    present = Texts(
        column.name, stripped.take(pa.array(kept)), position[column.codes], column.where
    )
    wanted = options.types.get(column.name)
    if column.name in options.dates:
        wanted = "date"
    found = _as(present, wanted, options, typed=not usual_missing)
    if found is None:
        found = Decided(column.objects(kept, present.codes))
    if isinstance(found, Problem) or not absent.any():
        return found
    return _with_missing(column, found, absent)


def _with_missing(column: Texts, found: Decided, absent: np.ndarray) -> Decided:
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(absent))
    missing: Counter[str] = Counter()
    for i in np.flatnonzero(absent):
        missing[column.values[int(i)].as_py()] += int(counts[i])
    return replace(found, missing=dict(missing))


def _as(
    column: Texts, wanted: str | None, options: ReadOptions, *, typed: bool
) -> Decided | Problem | None:
    """Return the column as what is wanted, or as what it is; None for text."""
    if wanted == "category":
        return None
    if not len(column.values) and wanted is None:
        return Decided(np.full(len(column.codes), np.nan))
    if wanted == "boolean":
        return _booleans(column, MORE_BOOLEANS, required=True)
    if wanted == "date":
        return _dates(column, options.dates.get(column.name))
    numbers = plain_numbers(column, options, typed=typed, wanted=wanted)
    if numbers is None:
        numbers = marked_numbers(column, options, all_rows=wanted is not None)
    if numbers is not None:
        return numbers
    return (
        _booleans(column, BOOLEANS) or _iso_dates(column) or _suspect(column, options)
    )


def _booleans(
    column: Texts, meanings: dict[str, bool], *, required: bool = False
) -> Decided | None:
    lower = pc.utf8_lower(column.values)
    known = pc.is_in(lower, pa.array(list(meanings), lower.type))
    if not pc.all(known).as_py():
        if required:
            column.refuse(~known.to_numpy(zero_copy_only=False), "true or false")
        return None
    values = np.array([meanings[each] for each in lower.to_pylist()], bool)
    return Decided(column.spread(values))


def _iso_dates(column: Texts) -> Decided | Problem | None:
    """Return the column as dates if its values are ISO 8601, a problem if most
    are.
    """
    iso = pc.match_substring_regex(column.values, ISO).to_numpy(zero_copy_only=False)
    counts = column.counts()
    if not iso.all():
        if not most(iso, counts, column.values):
            return None
        i = int(np.flatnonzero(~iso)[0])
        others = column.values.filter(pa.array(~iso)).to_pylist()
        category = f"read: {{types: {{{quoted(column.name)}: category}}}}"
        return Problem(
            f"{counts[iso].sum()} of {counts.sum()} values of column {column.name} "
            f"are dates; {column.first(i)} holds {others[0]!r}: set "
            f"{missing_or_category(others, category)}"
        )
    found = _dates(column, None)
    example = column.values[0].as_py()
    return Decided(
        found.values,
        [f"column {column.name} is read as dates ({example!r})", *found.notes],
    )


def _dates(column: Texts, form: str | None) -> Decided:
    """Return the column as dates of a format, or of ISO 8601."""
    texts, notes = column.values, []
    if form is None:
        zoned = pc.match_substring_regex(column.values, r":.*" + ZONE)
        zoned = zoned.to_numpy(zero_copy_only=False)
        if zoned.any() and not zoned.all():
            i, j = int(np.argmin(zoned)), int(np.argmax(zoned))
            raise ValueError(
                f"column {column.name}, {column.first(i)} holds {texts[i].as_py()!r} "
                f"without a time zone; {texts[j].as_py()!r} has one"
            )
        if zoned.any():
            notes.append(f"column {column.name}: times are read as UTC")
        texts = pc.replace_substring(texts, "/", "-")
        texts = pc.replace_substring(texts, ",", ".")
        form = ISO_8601
    elif "%z" in form:
        notes.append(f"column {column.name}: times are read as UTC")
    days = parse_dates(pd.Series(texts.to_pylist(), dtype=object), form=form)
    if days.isna().any():
        what = "ISO 8601" if form == ISO_8601 else json.dumps(form)
        column.refuse(days.isna().to_numpy(), f"a date in the format {what}")
    return Decided(column.spread(days.to_numpy()), notes)


def _suspect(column: Texts, options: ReadOptions) -> Problem | None:
    """Return why the column is suspected to be numbers or dates."""
    counts, texts = column.counts(), column.values.to_pylist()
    if most(column.matches(NO_LETTERS), counts, texts):
        numbers = parse_numbers(
            texts,
            decimal=options.decimal_of(column.name),
            thousands=options.thousands_of(column.name),
            strip=options.strip,
        )
        problem = disguised_numbers(
            column.name, texts, counts, np.isfinite(numbers), column.first
        )
        if problem is not None:
            return problem
    if most(column.matches(f"^(?:{UNIT.pattern})$"), counts, texts):
        problem = measured_numbers(column.name, texts, counts, column.first)
        if problem is not None:
            return problem
    if most(column.matches(f"^(?:{DATE_LIKE.pattern})$"), counts, texts):
        return disguised_dates(column.name, texts, counts, column.first)
    return None
