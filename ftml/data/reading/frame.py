"""Reads the file of a table into a data frame whose columns have types."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ftml.config import nearest
from ftml.data.reading.columns import decide
from ftml.data.reading.decided import Decided
from ftml.data.reading.files import SUFFIXES, TEXT, load
from ftml.data.reading.loaded import Loaded
from ftml.data.reading.options import USUAL_MISSING, ReadOptions
from ftml.data.reading.problems import Problem, quoted

N_LINES = 5
"How many lines of missing values are kept for each column."
SAVED_INDEX = ("Unnamed: 0", "__index_level_0__")


def is_table_file(name: str) -> bool:
    """Return whether `read_frame` reads files of this name."""
    return name.lower().endswith(SUFFIXES)


def read_frame(
    path: Path,
    options: ReadOptions | None = None,
    *,
    columns: Sequence[str] | None = None,
    omit: Collection[str] = (),
    name: str | None = None,
) -> pd.DataFrame:
    """Return the table in a file.

    columns: those to read, in this order; by default all but those in `omit`. Other
    columns are not looked at. name: of the file in messages, by default its path.
    `attrs` of the frame has `all_names` (every column of the file), `notes` (what was
    detected, converted or left out),
    `missing_texts` (by column, how often each text was read as missing) and
    `missing_lines` (by column, where the first missing values are) and
    `detected` (the options `sep` and `decimal` that were detected for the whole file
    and are not the defaults).
    Raises ValueError for a file that cannot be read, a column that it does not have,
    and a column whose type is not certain.
    """
    options = options or ReadOptions()
    try:
        return _read(Path(path), options, columns, omit)
    except ValueError as error:
        raise ValueError(f"{name or path}: {error}") from None


def missing_message(frame: pd.DataFrame, column: str) -> str:
    """Return how many values of a column are missing, and what the file has there.

    An example is `country (20: "NA" at line 2, line 5, ...; read: {keep_na: [country]}
    keeps such texts)`.
    """
    n = int(frame[column].isna().sum())
    texts: dict[str, int] = frame.attrs.get("missing_texts", {}).get(column, {})
    lines: list[str] = frame.attrs.get("missing_lines", {}).get(column, [])
    shown = [f'"{each}"' if each.strip() else "an empty field" for each in texts]
    if not lines:
        return f"{column} ({n})"
    what = " or ".join(dict.fromkeys(shown))
    where = ", ".join([*lines, *(["..."] if n > len(lines) else [])])
    where = f"{what} at {where}" if what else where
    usual = [each for each in texts if each.strip() in USUAL_MISSING]
    key = f"read: {{keep_na: [{quoted(column)}]}} keeps such texts"
    key = f"; {key}" if usual else ""
    return f"{column} ({n}: {where}{key})"


def row_places(
    path: Path, options: ReadOptions | None, rows: Sequence[int]
) -> list[str]:
    """Return where a person finds rows of a frame in its file: `line 6`, `row 6`.

    rows: positions in the frame that `read_frame` returns for the same options, from 0.
    """
    options = options or ReadOptions()
    loaded = load(Path(path), options, lambda names: names[:1])
    return _sampled(loaded, options, []).where(rows)


def _read(
    path: Path,
    options: ReadOptions,
    columns: Sequence[str] | None,
    omit: Collection[str],
) -> pd.DataFrame:
    def choose(names: list[str]) -> list[str]:
        absent = [each for each in (*(columns or ()), *omit) if each not in names]
        if absent:
            listed = ", ".join(map(repr, absent))
            raise ValueError(f"no column {listed}{nearest(absent[0], names)}")
        if columns is not None:
            return list(columns)
        return [each for each in names if each not in omit]

    loaded = load(path, options, choose)
    notes = list(loaded.notes)
    if columns is None:
        loaded = _without_index(loaded, notes)
    for named, key in options.columns().items():
        if named not in loaded.all_names:
            known = nearest(named, loaded.all_names)
            notes.append(f"read.{key}: the file has no column {named!r}{known}")
    text, excel = path.name.lower().endswith(TEXT), path.suffix.lower() == ".xlsx"
    for key, applies in (("sep", text), ("names", text), ("sheet", excel)):
        if getattr(options, key) is not None and not applies:
            notes.append(f"read.{key} does not apply to this kind of file")
    loaded = _sampled(loaded, options, notes)
    decided, decimal = _decide_all(loaded, options, notes)
    frame = _frame(decided, loaded, notes)
    frame.attrs["detected"] = _Shared(loaded.detected | decimal)
    return frame


def _without_index(loaded: Loaded, notes: list[str]) -> Loaded:
    """Return the columns without a saved index, and without empty ones that have no
    name.
    """
    kept = dict(loaded.columns)
    for name in [each for each in kept if each.startswith(("Unnamed: ", "__index_"))]:
        if name in SAVED_INDEX and _counts(kept[name]):
            notes.append(f"column {name!r} counts the rows (a saved index): left out")
            del kept[name]
        elif _empty(kept[name]):
            notes.append(f"column {name!r} has neither a name nor values: left out")
            del kept[name]
        elif name.startswith("Unnamed: "):
            notes.append(f"column {name!r} has no name in the file")
    return replace(loaded, columns=kept)


def _counts(column: pa.ChunkedArray) -> bool:
    """Return whether a column counts the rows, from 0 or from 1."""
    try:
        numbers = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        return False
    rows = np.arange(len(numbers))
    return bool((numbers == rows).all() or (numbers == rows + 1).all())


def _empty(column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    return pa.types.is_string(column.type) and set(column.unique().to_pylist()) <= {
        "",
        None,
    }


def _sampled(loaded: Loaded, options: ReadOptions, notes: list[str]) -> Loaded:
    """Return the rows of the sample, in the order of the file."""
    n = len(next(iter(loaded.columns.values()))) if loaded.columns else 0
    if options.sample is None or options.sample >= n:
        return loaded
    order = np.random.default_rng(options.seed).permutation(n)
    rows = np.sort(order[: options.sample])
    notes.append(f"{options.sample} of {n} rows are read, {n - options.sample} not")

    def where(wanted: Sequence[int]) -> list[str]:
        return loaded.where([int(rows[each]) for each in wanted])

    taken = {
        name: column.take(pa.array(rows)) for name, column in loaded.columns.items()
    }
    return replace(loaded, columns=taken, where=where)


def _decide_all(
    loaded: Loaded, options: ReadOptions, notes: list[str]
) -> tuple[dict[str, Decided], dict[str, str]]:
    """Return each column with its type, and the decimal comma of the file if it was
    detected. ValueError lists the columns without a type.
    """

    def attempt(names: Sequence[str], options: ReadOptions) -> None:
        for name in names:
            found = decide(
                name,
                loaded.columns[name],
                options,
                where=loaded.where,
                usual_missing=loaded.usual_missing,
            )
            if isinstance(found, Problem):
                problems[name] = found
            else:
                decided[name] = found
                problems.pop(name, None)

    decided: dict[str, Decided] = {}
    problems: dict[str, Problem] = {}
    attempt(list(loaded.columns), options)
    commas = [name for name, each in problems.items() if each.comma]
    detected: dict[str, str] = {}
    points = any(each.has_point for each in decided.values())
    sure = any(problems[name].comma == "sure" for name in commas)
    if sure and not points and loaded.separator != "," and options.decimal is None:
        detected = {"decimal": ","}
        attempt(commas, options.model_copy(update=detected))
        notes.append(f"numbers have a decimal comma (columns {', '.join(commas)})")
    if problems:
        texts = [
            each.text.replace('decimal: ","', f'decimal: {{{quoted(name)}: ","}}')
            if points
            else each.text
            for name, each in problems.items()
        ]
        more = [f"{len(texts) - 3} more columns"] if len(texts) > 3 else []
        raise ValueError("; ".join([*texts[:3], *more]))
    return {name: decided[name] for name in loaded.columns}, detected


class _Shared(dict[str, Any]):
    """A dict that copies of a frame share: pandas copies `attrs` at every operation,
    also when a column is taken, so that a table of many columns would cost their
    square.
    """

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


class _SharedList(list[str]):
    """A list that copies of a frame share."""

    def __deepcopy__(self, memo: Any) -> _SharedList:
        return self


def _frame(
    decided: dict[str, Decided], loaded: Loaded, notes: list[str]
) -> pd.DataFrame:
    frame = pd.DataFrame({name: each.values for name, each in decided.items()})
    blank = {
        name: np.flatnonzero(pd.isna(each.values))[:N_LINES]
        for name, each in decided.items()
    }
    frame.attrs = {
        "all_names": _SharedList(loaded.all_names),
        "notes": _SharedList(
            [*notes, *(text for each in decided.values() for text in each.notes)]
        ),
        "missing_texts": _Shared(
            {name: each.missing for name, each in decided.items() if each.missing}
        ),
        "missing_lines": _Shared(
            {
                name: loaded.where(rows.tolist())
                for name, rows in blank.items()
                if len(rows)
            }
        ),
    }
    return frame
