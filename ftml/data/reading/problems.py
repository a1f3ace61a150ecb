"""Why a column cannot be read without a word of the user, and the text of that word."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Why a column cannot be read without a word of the user.

    comma: whether its numbers need a decimal comma ("sure"), may need one ("possible"),
    or are none of that kind ("").
    """

    text: str
    comma: str = ""


RESERVED = ("y", "n", "yes", "no", "on", "off", "null", "true", "false")
"Words that YAML does not read as text."


def quoted(name: str) -> str:
    """Return a text as YAML writes it: in quotes where it needs them."""
    plain = re.fullmatch(r"[^\W\d_][\w .-]*(?<! )", name)
    usual = plain and name.lower() not in RESERVED
    return name if usual else json.dumps(name, ensure_ascii=False)


def most(like: np.ndarray, counts: np.ndarray, texts: Sequence[Any]) -> bool:
    """Return whether values of a kind make up a column: more than half of the rows, or
    more than 10 different values beside at most 3 others.
    """
    if 2 * counts[like].sum() > counts.sum():
        return True
    if like.sum() <= 10:
        return False
    others: set[str] = set()
    for i in np.flatnonzero(~like):
        others.add(str(texts[int(i)]))
        if len(others) > 3:
            return False
    return len({str(texts[int(i)]) for i in np.flatnonzero(like)}) > 10
