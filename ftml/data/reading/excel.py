"""Excel files of tables."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftml.data.reading.loaded import Choose, Loaded, named
from ftml.data.reading.options import ReadOptions
from ftml.data.reading.typed_files import typed


def load(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    import openpyxl  # here, because it is slow and only .xlsx needs it
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"not an .xlsx file ({error})") from None
    notes: list[str] = []
    try:
        sheet = _sheet(book.sheetnames, options.sheet, notes)
        _note_merged(path, book[sheet], notes)
        if hasattr(book[sheet], "reset_dimensions"):
            book[sheet].reset_dimensions()  # some programs write wrong ones
        rows = [
            (number, row)
            for number, row in enumerate(book[sheet].iter_rows(values_only=True), 1)
            if any(value is not None for value in row)
        ]
    finally:
        book.close()
    if len(rows) < 2:
        raise ValueError(f"no rows in sheet {sheet!r}")
    header = list(rows[0][1])
    while header and header[-1] is None:
        header.pop()
    for number, row in rows:
        if any(value is not None for value in row[len(header) :]):
            raise ValueError(
                f"row {number} of sheet {sheet!r} has more cells than the header, "
                f"which has {len(header)}"
            )
    names = named("" if name is None else str(name) for name in header)

    def where(wanted: Sequence[int]) -> list[str]:
        return [f"row {rows[row + 1][0]}" for row in wanted]

    columns = {}
    for name in choose(names):
        i = names.index(name)
        cells = [row[i] if i < len(row) else None for _, row in rows[1:]]
        columns[name] = typed(cells, name, where)
    return Loaded(columns, names, where, notes=notes)


def _sheet(names: list[str], wanted: str | None, notes: list[str]) -> str:
    if wanted is None and len(names) > 1:
        notes.append(
            f"sheet {names[0]!r} is read, the first of {len(names)}; read: {{sheet: "
            "...} chooses another"
        )
    if wanted is not None and wanted not in names:
        raise ValueError(f"no sheet {wanted!r}; it has {', '.join(names)}")
    return wanted or names[0]


MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*?ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
N_RANGES = 5
"Merged ranges that the note lists."


def _note_merged(path: Path, sheet: Any, notes: list[str]) -> None:
    """Note the merged cells of a sheet: only the first cell of a range has a value."""
    from openpyxl.utils import range_boundaries

    # openpyxl knows them only if it keeps the whole sheet in memory.
    place = getattr(sheet, "_worksheet_path", None)
    if place is None:
        return
    with zipfile.ZipFile(path) as archive:
        found = [each.decode() for each in MERGED.findall(archive.read(place))]
    if not found:
        return
    n_blank = 0
    for each in found:
        left, top, right, bottom = range_boundaries(each)
        n_blank += (right - left + 1) * (bottom - top + 1) - 1
    more = f" and {len(found) - N_RANGES} more" if len(found) > N_RANGES else ""
    ranges = "1 merged range" if len(found) == 1 else f"{len(found)} merged ranges"
    cells = "1 cell is" if n_blank == 1 else f"{n_blank} cells are"
    notes.append(
        f"sheet {sheet.title!r} has {ranges} ({', '.join(found[:N_RANGES])}{more}): "
        f"only the first cell of a range has the value, and {cells} read as missing; "
        "unmerge them in the file and fill in the value where it holds"
    )
