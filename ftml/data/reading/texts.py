"""Columns of text: numbers, booleans, dates or categories, decided by all values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ftml.data.reading.disguised import (
    DATE_LIKE,
    UNIT,
    Problem,
    disguised_dates,
    disguised_numbers,
    measured_numbers,
    most,
    parse_numbers,
    quoted,
)
from ftml.data.reading.options import USUAL_MISSING, ReadOptions
from ftml.data.reading.typed_files import as_text

Where = Callable[[Sequence[int]], list[str]]

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
LONGEST = 40
"Characters of the longest text that may be a number or a date."
N_COUNTED = 2000
"How many rows of a column are looked at for how many values are different."
N_TRIED = 100
"How many values must be numbers before all are tried."


@dataclass(frozen=True)
class Decided:
    """A column with its type, and what there is to say about it.

    values: (n,), an array of numpy or pandas, or a Series of objects for text.
    missing: how often each text was read as missing. has_point: whether numbers of a
    text file are written with a decimal point.
    """

    values: Any
    notes: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    has_point: bool = False


@dataclass(frozen=True)
class Texts:
    """A column of text: values in the order of their first row, and the position (n,)
    of each row's value among them, -1 for a missing value. A value occurs once, unless
    most values are different, where it is faster to encode each row.
    """

    name: str
    values: pa.Array
    codes: np.ndarray
    where: Where

    @classmethod
    def of(cls, name: str, column: pa.ChunkedArray, where: Where) -> Texts:
        few = column.slice(0, N_COUNTED)
        if 2 * pc.count_distinct(few).as_py() > len(few) == N_COUNTED:
            return cls.of_rows(name, column, where)
        encoded = pc.dictionary_encode(column).combine_chunks()
        codes = encoded.indices.fill_null(-1).to_numpy()
        return cls(name, encoded.dictionary, codes, where)

    @classmethod
    def of_rows(cls, name: str, column: pa.ChunkedArray, where: Where) -> Texts:
        values = column.combine_chunks()
        rows = np.arange(len(values))
        if values.null_count:
            rows[values.is_null().to_numpy(zero_copy_only=False)] = -1
            values = values.fill_null("")
        return cls(name, values, rows, where)

    def first(self, i: int) -> str:
        """Return where the value at a position first occurs."""
        return self.where([int(np.argmax(self.codes == i))])[0]

    def decide(self, options: ReadOptions, usual_missing: bool) -> Decided | Problem:
        stripped = pc.utf8_trim_whitespace(self.values)
        texts = {"", *(as_text(each) for each in options.missing_of(self.name))}
        if usual_missing and not options.keeps_na(self.name):
            texts.update(USUAL_MISSING)
        absent = pc.is_in(stripped, pa.array(sorted(texts), stripped.type)).to_numpy(
            zero_copy_only=False
        )
        kept = np.flatnonzero(~absent)
        position = np.full(len(stripped) + 1, -1, np.int64)  # -1 stays -1
        position[kept] = np.arange(len(kept))
        present = Texts(
            self.name, stripped.take(pa.array(kept)), position[self.codes], self.where
        )
        wanted = options.types.get(self.name)
        if self.name in options.dates:
            wanted = "date"
        found = present._as(wanted, options, typed=not usual_missing)
        if found is None:
            found = Decided(self._objects(kept, present.codes))
        if isinstance(found, Problem) or not absent.any():
            return found
        return self._with_missing(found, absent)

    def _with_missing(self, found: Decided, absent: np.ndarray) -> Decided:
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(absent))
        missing: Counter[str] = Counter()
        for i in np.flatnonzero(absent):
            missing[self.values[int(i)].as_py()] += int(counts[i])
        return replace(found, missing=dict(missing))

    def _as(
        self, wanted: str | None, options: ReadOptions, *, typed: bool
    ) -> Decided | Problem | None:
        """Return the column as what is wanted, or as what it is; None for text."""
        if wanted == "category":
            return None
        if not len(self.values) and wanted is None:
            return Decided(np.full(len(self.codes), np.nan))
        if wanted == "boolean":
            return self._booleans(MORE_BOOLEANS, required=True)
        if wanted == "date":
            return self._dates(options.dates.get(self.name))
        numbers = self.plain_numbers(options, typed=typed, wanted=wanted)
        if numbers is None:
            numbers = self._marked_numbers(options, all_rows=wanted is not None)
        if numbers is not None:
            return numbers
        return self._booleans(BOOLEANS) or self._iso_dates() or self._suspect(options)

    def plain_numbers(
        self, options: ReadOptions, *, typed: bool, wanted: str | None = None
    ) -> Decided | None:
        """Return the column as numbers, if all are written as in Python and a point
        is the decimal mark. With zeros in front, as in postal codes, it is text.
        """
        try:
            found = pc.cast(self.values, pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            return None
        whole = self._whole(found)
        point = options.decimal_of(self.name) == "." != options.thousands_of(self.name)
        if np.isnan(found).any() or not (whole or point):
            return None
        notes = []
        if whole and wanted is None:
            zeros = pc.match_substring_regex(self.values, r"^[+-]?0[0-9]+$")
            if pc.any(zeros).as_py():
                return self._leading_zeros(self.values.filter(zeros)[0].as_py())
        if typed and wanted is None:
            notes.append(
                f"column {self.name} is text in the file and read as numbers; "
                f"read: {{types: {{{quoted(self.name)}: category}}}} keeps the text"
            )
        if whole:
            try:
                bare = pc.utf8_ltrim(self.values, characters="+")
                found = pc.cast(bare, pa.int64()).to_numpy()
            except pa.ArrowInvalid:
                notes.append(
                    f"column {self.name}: whole numbers of more than 64 bits are read "
                    "as floating-point numbers"
                )
        if whole and wanted is None and _days(found):
            notes.append(
                f"column {self.name} is read as numbers; read: {{dates: "
                f'{{{quoted(self.name)}: "%Y%m%d"}}}} reads them as dates'
            )
        point = not whole and pc.any(pc.match_substring(self.values, ".")).as_py()
        values = without(self._spread(found), options.missing_of(self.name))
        return Decided(values, notes, has_point=bool(point))

    def _marked_numbers(
        self, options: ReadOptions, *, all_rows: bool
    ) -> Decided | None:
        """Return numbers with the marks of the options, None if a value is none.

        all_rows: whether the values must be numbers; ValueError then names one that is
        none.
        """
        marks = {
            "decimal": options.decimal_of(self.name),
            "thousands": options.thousands_of(self.name),
            "strip": options.strip,
        }
        texts = self.values.to_pylist()
        some = parse_numbers(texts[:N_TRIED], **marks)
        if not all_rows and np.isnan(some).any():
            return None
        numbers = parse_numbers(texts, **marks)
        wrong = np.isnan(numbers)
        if wrong.any() and all_rows:
            self._refuse(wrong, "a number")
        if wrong.any():
            return None
        fractions = any(
            marks["decimal"] in text or "e" in text.lower() for text in texts
        )
        if not fractions and (np.abs(numbers) < 2**53).all():
            numbers = numbers.astype(np.int64)
        values = self._spread(numbers)
        return Decided(without(values, options.missing_of(self.name)))

    def _whole(self, values: np.ndarray) -> bool:
        """Return whether all values are written as whole numbers."""
        if not len(values) or not (np.trunc(values) == values).all():
            return False
        whole = pc.match_substring_regex(self.values, r"^[+-]?[0-9]+$")
        return bool(pc.all(whole).as_py())

    def _leading_zeros(self, text: str) -> Decided:
        key = f"read: {{types: {{{quoted(self.name)}: number}}}}"
        return Decided(
            self._spread(np.array(self.values.to_pylist(), object)),
            [
                f"column {self.name} is read as text, because values such as {text!r} "
                f"begin with 0; {key} reads them as numbers"
            ],
        )

    def _booleans(
        self, meanings: dict[str, bool], *, required: bool = False
    ) -> Decided | None:
        lower = pc.utf8_lower(self.values)
        known = pc.is_in(lower, pa.array(list(meanings), lower.type))
        if not pc.all(known).as_py():
            if required:
                self._refuse(~known.to_numpy(zero_copy_only=False), "true or false")
            return None
        values = np.array([meanings[each] for each in lower.to_pylist()], bool)
        return Decided(self._spread(values))

    def _iso_dates(self) -> Decided | Problem | None:
        """Return the column as dates if its values are ISO 8601, a problem if most
        are.
        """
        iso = pc.match_substring_regex(self.values, ISO).to_numpy(zero_copy_only=False)
        counts = self._counts()
        if not iso.all():
            if not most(iso, counts, self.values):
                return None
            i = int(np.flatnonzero(~iso)[0])
            return Problem(
                f"{counts[iso].sum()} of {counts.sum()} values of column {self.name} "
                f"are dates; {self.first(i)} holds {self.values[i].as_py()!r}: set "
                f"read.na_values, or read: {{types: {{{quoted(self.name)}: category}}}}"
            )
        found = self._dates(None)
        example = self.values[0].as_py()
        return Decided(
            found.values,
            [f"column {self.name} is read as dates ({example!r})", *found.notes],
        )

    def _dates(self, form: str | None) -> Decided:
        """Return the column as dates of a format, or of ISO 8601."""
        texts, notes = self.values, []
        if form is None:
            zoned = pc.match_substring_regex(self.values, r":.*" + ZONE)
            zoned = zoned.to_numpy(zero_copy_only=False)
            if zoned.any() and not zoned.all():
                i, j = int(np.argmin(zoned)), int(np.argmax(zoned))
                raise ValueError(
                    f"column {self.name}, {self.first(i)} holds {texts[i].as_py()!r} "
                    f"without a time zone; {texts[j].as_py()!r} has one"
                )
            if zoned.any():
                notes.append(f"column {self.name}: times are read as UTC")
            texts = pc.replace_substring(texts, "/", "-")
            texts = pc.replace_substring(texts, ",", ".")
            form = "ISO8601"
        elif "%z" in form:
            notes.append(f"column {self.name}: times are read as UTC")
        days = pd.Series(texts.to_pylist(), dtype=object)
        days = pd.to_datetime(days, format=form, errors="coerce", utc=True)
        if days.isna().any():
            what = "ISO 8601" if form == "ISO8601" else json.dumps(form)
            self._refuse(days.isna().to_numpy(), f"a date in the format {what}")
        plain = days.dt.tz_localize(None).astype("datetime64[us]").to_numpy()
        return Decided(self._spread(plain), notes)

    def _suspect(self, options: ReadOptions) -> Problem | None:
        """Return why the column is suspected to be numbers or dates."""
        counts, texts = self._counts(), self.values.to_pylist()
        if most(self._matches(NO_LETTERS), counts, texts):
            numbers = parse_numbers(
                texts,
                decimal=options.decimal_of(self.name),
                thousands=options.thousands_of(self.name),
                strip=options.strip,
            )
            problem = disguised_numbers(
                self.name, texts, counts, np.isfinite(numbers), self.first
            )
            if problem is not None:
                return problem
        if most(self._matches(f"^(?:{UNIT.pattern})$"), counts, texts):
            problem = measured_numbers(self.name, texts, counts, self.first)
            if problem is not None:
                return problem
        if most(self._matches(f"^(?:{DATE_LIKE.pattern})$"), counts, texts):
            return disguised_dates(self.name, texts, counts, self.first)
        return None

    def _matches(self, pattern: str) -> np.ndarray:
        """Return which values (m,) match a pattern and are short."""
        short = pc.less_equal(pc.utf8_length(self.values), LONGEST)
        found = pc.and_(short, pc.match_substring_regex(self.values, pattern))
        return found.to_numpy(zero_copy_only=False)

    def _counts(self) -> np.ndarray:
        """Return how often each value occurs, as integers."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    def _refuse(self, wrong: np.ndarray, expected: str) -> None:
        """Raise ValueError that names the first wrong value, and counts the rows."""
        i = int(np.flatnonzero(wrong)[0])
        n = int(self._counts()[wrong].sum())
        rows = "1 row" if n == 1 else f"{n} rows"
        raise ValueError(
            f"column {self.name}, {self.first(i)} holds {self.values[i].as_py()!r}; "
            f"expected {expected} ({rows} of {len(self.codes)}); read.na_values names "
            "texts that are missing values"
        )

    def _spread(self, values: np.ndarray) -> Any:
        """Return the value of each row; of a type with missing values if one is."""
        missing = self.codes < 0
        if not missing.any():
            whole = values[self.codes]
            return pd.Series(whole, dtype=object) if whole.dtype == object else whole
        filled = np.append(values, values[:1] if len(values) else np.zeros(1))
        rows = filled[self.codes]
        if values.dtype == np.int64:
            return pd.arrays.IntegerArray(rows, missing)
        if values.dtype == bool:
            return pd.arrays.BooleanArray(rows, missing)
        if values.dtype == object:
            rows[missing] = None
            return pd.Series(rows, dtype=object)
        rows[missing] = np.datetime64("NaT") if rows.dtype.kind == "M" else np.nan
        return rows

    def _objects(self, kept: np.ndarray, codes: np.ndarray) -> pd.Series:
        """Return the texts as they are in the file, None for a missing one. A space
        that all texts begin with belongs to the separator.
        """
        values = self.values.take(pa.array(kept))
        if pc.all(pc.starts_with(values, " ")).as_py():
            values = pc.utf8_ltrim_whitespace(values)
        objects = np.array([*values.to_pylist(), None], object)[:-1]
        return Texts(self.name, values, codes, self.where)._spread(objects)


def _days(values: np.ndarray) -> bool:
    """Return whether all whole numbers are days such as 20240331."""
    if not (len(values) and ((values > 19e6) & (values < 21e6)).all()):
        return False
    texts = pd.Series(values.astype(np.int64).astype(str))
    days = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
    return bool(days.notna().all())


def without(values: Any, missing: Sequence[str | int | float]) -> Any:
    """Return numbers in which those that mark a missing value are missing."""
    numbers = []
    for each in missing:
        try:
            numbers.append(float(each))
        except ValueError:
            continue
    if not numbers:
        return values
    values = pd.Series(values)
    if type_of(values) != "number":
        return values
    marked = values.isin(numbers).fillna(False).to_numpy(bool)
    if not marked.any():
        return values
    if values.dtype == np.int64:
        values = values.astype("Int64")
    return values.mask(marked)


def type_of(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    return "number" if pd.api.types.is_numeric_dtype(values) else "date"
