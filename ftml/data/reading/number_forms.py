"""How numbers are written: signs, symbols, and marks for decimals and thousands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SPACES = "\u00a0\u2007\u2009\u202f"
"Spaces that separate thousands, beside the plain one."
GROUPED = re.compile(r"\d{1,3}(?:([ '\u2019])\d{3})(?:\1\d{3})*([.,]\d+)?", re.ASCII)
"Thousands between spaces or apostrophes."
THOUSANDS = re.compile(r"\d{1,3}((,\d{3}){2,}(\.\d*)?|(,\d{3})+\.\d+)", re.ASCII)
"Thousands between commas that cannot be a decimal comma."
MINUS: dict[int, str] = {0x2212: "-"}
SWAPPED: dict[int, str] = {ord("."): ",", ord(","): "."}
PLAIN_SPACE: dict[int, str] = {ord(space): " " for space in SPACES}


def parse_numbers(
    texts: Sequence[str], *, decimal: str, thousands: str, strip: str
) -> np.ndarray:
    """Return the numbers (n,) that texts without spaces at the ends are, NaN for none.

    Groups of thousands must have three digits: 1,5 is no number with the mark `,`.
    """
    mark = re.escape(decimal)
    whole = r"\d+"
    space = thousands == " " or thousands in SPACES
    if thousands:
        group = re.escape(" " if space else thousands)
        whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)"
    form = re.compile(
        rf"[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?", re.ASCII
    )
    found = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        sign, rest = _bare(text, strip)
        if space:
            rest = rest.translate(PLAIN_SPACE)
        if form.fullmatch(sign + rest):
            plain = rest.replace(" " if space else thousands, "") if thousands else rest
            found[i] = float(sign + plain.replace(decimal, "."))
    return found


def _bare(text: str, strip: str) -> tuple[str, str]:
    """Return the sign of a text, if any, and the rest without characters to strip."""
    removed = f" {SPACES}{strip}"
    text = text.translate(MINUS).strip(removed)
    sign = text[:1] if text[:1] in ("+", "-") else ""
    return sign, text[len(sign) :].strip(removed)


@dataclass(frozen=True)
class Form:
    """How a number is written: symbols at its ends, marks inside it.

    Marks that may be either are in `either`: 1,234.
    """

    strip: str = ""
    thousands: str = ""
    decimal: str = ""
    either: str = ""


def written_form(text: str) -> Form | None:
    """Return how a number is written, with the decimal mark `.` if there is nothing
    else to say; None for no number.
    """
    symbols = {c for c in text if unicodedata.category(c) == "Sc" or c in "%‰"}
    sign, rest = _bare(text, "".join(symbols))
    strip = "".join(sorted(symbols))
    if symbols.intersection(rest):
        return None
    if NUMBER.fullmatch(sign + rest):
        return Form(strip, decimal="" if sign + rest != text else ".")
    rest = rest.translate(PLAIN_SPACE)
    if found := GROUPED.fullmatch(rest):
        return Form(strip, found[1], (found[2] or "")[:1].replace(".", ""))
    for group, mark in ((",", "."), (".", ",")):
        swapped = rest if group == "," else rest.translate(SWAPPED)
        if THOUSANDS.fullmatch(swapped):
            return Form(strip, group, mark.replace(".", "") if mark in rest else "")
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", rest):
        return Form(strip, either=",")
    return Form(strip, decimal=",") if re.fullmatch(r"\d*,\d+", rest) else None
