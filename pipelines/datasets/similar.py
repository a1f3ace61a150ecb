"""Notes the names of categories, classes and domains that are probably one: they differ
only in spaces, in case or in how Unicode encodes a character.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

import pandas as pd

from ftml.data.columns import kind_of
from pipelines.common.formatting import counted
from pipelines.datasets.notes import note

MOST_COLUMNS, MOST_NAMES = 5, 5
"Columns, and names of each column, that the note lists."


def note_similar(
    source: str, columns: Mapping[str, pd.Series], *, noun: str = "row"
) -> None:
    """Note the values of columns of text that differ only in spaces, case or Unicode
    form, with the number of samples of each. All stay different values.

    columns: the values (n,) by what they are called. noun: what a sample is.
    """
    found = {
        called: groups
        for called, values in columns.items()
        if (groups := similar_values(values))
    }
    if not found:
        return
    listed = [
        f"{called}: {_first([_shown(each, noun) for each in groups], MOST_NAMES)}"
        for called, groups in found.items()
    ]
    note(
        f"{source}: values that differ only in spaces, case or Unicode form stay "
        f"different; if they are the same, write them in one way in the file: "
        f"{_first(listed, MOST_COLUMNS)}"
    )


def columns_of_text(data: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns of a frame that hold categories, called `column city`."""
    return {
        f"column {name}": column
        for name, column in data.items()
        if kind_of(str(name), column) == "category"
    }


def similar_values(values: pd.Series) -> list[dict[str, int]]:
    """Return the groups of values that have one plain form, each with its number of
    samples.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for value, n in values.dropna().value_counts().items():
        text = str(value)
        if n:  # pandas counts categories that no row has
            groups[plain(text)][text] = int(n)
    return [dict(sorted(each.items())) for each in groups.values() if len(each) > 1]


def plain(text: str) -> str:
    """Return a text in lower case and NFKC, with single spaces between words and
    without invisible characters.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    seen = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def _shown(group: Mapping[str, int], noun: str) -> str:
    """Return the values and their counts; in ASCII where they would look the same."""
    same = len({unicodedata.normalize("NFC", text) for text in group}) < len(group)
    show = ascii if same else repr
    return ", ".join(f"{show(text)} ({counted(n, noun)})" for text, n in group.items())


def _first(items: list[str], most: int) -> str:
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
