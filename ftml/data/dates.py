"""Dates that are written as text, read in microseconds."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

ISO = "ISO8601"
FRACTION = re.compile(r"(\.\d{6})\d{1,3}(?!\d)")
"A fraction of a second with more than six digits."


def parse_dates(values: pd.Series, *, form: str = ISO) -> pd.Series:
    """Return the dates of texts or dates (n,) as datetime64[us], in UTC without a zone;
    NaT for what is no date.

    form: the format, in the codes of strptime, or ISO 8601. Digits of a fraction of a
    second after the sixth are cut off: with them pandas reads all values in
    nanoseconds, of which 64 bits hold only the years 1677 to 2262, and a date outside
    becomes NaT.
    """
    found = _parse(values, form)
    if found.dt.unit == "ns":
        found = _parse(values.astype(object).map(_without_nanoseconds), form)
    plain: pd.Series = found.dt.tz_localize(None).astype("datetime64[us]")
    return plain


def _parse(values: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(values, format=form, errors="coerce", utc=True)


def _without_nanoseconds(value: Any) -> Any:
    return FRACTION.sub(r"\1", value) if isinstance(value, str) else value
