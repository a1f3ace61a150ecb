"""How the file of a table is read: the keys of `read:` in params.yaml."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ftml.config import StrictModel

Mark = Literal[".", ","]
ColumnType = Literal["number", "category", "date", "boolean"]
MissingText = str | int | float

USUAL_MISSING = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
    *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"The texts that pandas reads as missing, beside an empty field."


class ReadOptions(StrictModel):
    """How the file of a table is read. By default what is safe is detected and said."""

    sep: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """character between two columns of a text file. By default a comma, a tab for .tsv,
    and what the header has if that is only one of ; | and tab, without a comma"""

    names: Annotated[list[str], Field(min_length=1)] | None = None
    """names of the columns of a text file that has no header. By default the first line
    has the names"""

    decimal: Mark | dict[str, Mark] | None = None
    """decimal mark of numbers, `.` or `,`; or the mark by column, such as
    `{price: ","}`. By default a point; in a file whose columns are not separated by
    commas, a comma for all columns if all numbers that are not whole have one"""

    thousands: str | dict[str, str] | None = None
    """mark between groups of three digits, such as `,` in 1,234; or the mark by column.
    A space also means spaces that do not break a line. By default there is none"""

    encoding: str = "utf-8"
    """encoding of a text file, such as latin-1 or cp1252. By default UTF-8; UTF-16 is
    detected by its byte-order mark"""

    na_values: list[MissingText] | dict[str, list[MissingText]] = []
    """texts or numbers that mark a missing value, such as `["?", -999]`, beside the
    usual ones; or these by column"""

    keep_na: bool | list[str] = False
    """whether the usual texts for a missing value, such as NA, None and null, are
    values, or in which columns; only an empty field and `na_values` are then missing"""

    strip: str = ""
    """characters that are removed at both ends of numbers, such as `$%` or `kg`; 12%
    then becomes 12"""

    dates: dict[str, str] = {}
    """format of a column of dates, by column, in the codes of Python's strptime:
    `{day: "%d/%m/%Y"}`. ISO 8601 (2024-03-31) needs none"""

    types: dict[str, ColumnType] = {}
    """type of a column, by column: number, category, date or boolean. By default it
    follows from all values of the column"""

    sheet: str | None = None
    "name of the sheet of an .xlsx file; by default the first one"

    sample: Annotated[int, Field(ge=1)] | None = None
    "number of rows to read, chosen at random; by default all"

    seed: Annotated[int, Field(ge=0)] = 0
    "seed of the choice of the rows for `sample`"

    def decimal_of(self, column: str) -> Mark:
        """Return the decimal mark of a column."""
        if isinstance(self.decimal, dict):
            return self.decimal.get(column, ".")
        return self.decimal or "."

    def thousands_of(self, column: str) -> str:
        """Return the mark between thousands of a column, empty if there is none."""
        if isinstance(self.thousands, dict):
            return self.thousands.get(column, "")
        return self.thousands or ""

    def missing_of(self, column: str) -> list[MissingText]:
        """Return the texts and numbers of `na_values` for a column."""
        if isinstance(self.na_values, dict):
            return self.na_values.get(column, [])
        return self.na_values

    def keeps_na(self, column: str) -> bool:
        """Return whether the usual texts for a missing value are values in a column."""
        return (
            self.keep_na if isinstance(self.keep_na, bool) else column in self.keep_na
        )

    def columns(self) -> dict[str, str]:
        """Return every column that the options name, with the key that names it."""
        fields = ("decimal", "thousands", "na_values", "dates", "types")
        found = {
            name: field
            for field in fields
            if isinstance(named := getattr(self, field), Mapping)
            for name in named
        }
        kept = [] if isinstance(self.keep_na, bool) else self.keep_na
        return found | dict.fromkeys(kept, "keep_na")

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"encoding: unknown encoding {self.encoding!r}") from None
        if wrong := [each for each in self.strip if each.isdigit() or each in "+-.,()"]:
            raise ValueError(
                f"strip: {wrong[0]!r} is part of a number; expected characters like $%"
            )
        marks = self.thousands if isinstance(self.thousands, dict) else {}
        for mark in [self.thousands_of(""), *marks.values()]:
            if len(mark) > 1 or mark.isalnum() or mark in ("+", "-"):
                raise ValueError(f"thousands: expected one mark, got {mark!r}")
        for name in ("", *self.columns()):
            if self.thousands_of(name) == self.decimal_of(name):
                where = f" of column {name}" if name else ""
                raise ValueError(
                    f"thousands: {self.thousands_of(name)!r} is the decimal mark{where}"
                )
        if both := [n for n in self.dates if self.types.get(n, "date") != "date"]:
            raise ValueError(
                f"types: column {both[0]} has a format in dates; expected the type date"
            )
        return self
