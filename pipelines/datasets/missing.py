"""What is done with rows or lines of a file in which something is missing."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.common.formatting import counted, shorten
from pipelines.datasets.notes import note

LISTED = 5
"Largest number of rows or lines that a message lists."


def refuse_or_note(
    what: str, places: Sequence[int], *, drop: bool, noun: str = "line"
) -> None:
    """Raise ValueError for rows in which something is missing, or say how many are left
    out.

    what: what is missing, after the name of the file. places: the numbers of the rows
    or lines; nothing happens if there are none.
    """
    if not places:
        return
    number = f"{noun} {places[0]}"
    if len(places) > 1:
        number = f"{counted(len(places), noun)} ({shorten(places, LISTED)})"
    said = f"{what} in {number}"
    if not drop:
        raise ValueError(f"{said}; fill it in, or set missing: drop to leave them out")
    note(f"{said}: left out")
