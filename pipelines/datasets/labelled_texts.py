"""Reads a table of labelled texts, and says which of its rows are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ftml.config import nearest
from pipelines.common.formatting import counted
from pipelines.datasets.columns import check_columns
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch
from pipelines.params.text import SequencesSchema

PARQUET = (".parquet", ".pq")
TABLES = (".csv", ".csv.gz", *PARQUET)


@dataclass(frozen=True)
class Labelled:
    """Texts and the label of each."""

    texts: list[str]
    labels: pd.Series


def labelled_texts(section: SequencesSchema) -> Labelled:
    """Return the texts of a table and their labels, each text once.

    A text that occurs more than once is kept once, so that no text is in two splits.
    NA and None are texts like others. Rows without a text or a label are an error, or
    are left out if the section says so. Raises ValueError for a source that is no
    table, a column that it does not have, and a filter that leaves no row.
    """
    column, label = str(section.column), str(section.label)
    data = _read(section, [column, label, *section.rows])
    data = _filtered(section, data)
    data = _without_missing(section, data)
    data = _without_repeated(section, data)
    return Labelled(data[column].tolist(), data[label])


def _read(section: SequencesSchema, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of the table; its index is the row, counted from 1.

    The label has the type that its values have; other columns are text.
    """
    files = fetch(section.source, section.sha256)
    if len(files) > 1:
        raise ValueError(
            f"{section.source}: expected one table, got {len(files)} files"
        )
    if not files[0].name.lower().endswith(TABLES):
        raise ValueError(
            f"{section.source}: expected a {', '.join(TABLES[:-1])} or {TABLES[-1]} "
            f"file, got {files[0].name}"
        )
    try:
        check_columns(_header(files[0], section), names, source=section.source)
        data = _columns(files[0], section, list(dict.fromkeys(names)))
    except (OSError, pa.ArrowException, pd.errors.ParserError, UnicodeError) as error:
        reason = (str(error).splitlines() or ["?"])[0]
        raise ValueError(f"{section.source}: not a table ({reason})") from None
    return data.set_axis(pd.RangeIndex(1, len(data) + 1))


def _header(file: Path, section: SequencesSchema) -> pd.DataFrame:
    """Return the columns of a table without its rows."""
    if file.name.lower().endswith(PARQUET):
        return pd.DataFrame(columns=pq.read_schema(file).names)
    return pd.read_csv(file, nrows=0, encoding=section.read.encoding)


def _columns(file: Path, section: SequencesSchema, names: list[str]) -> pd.DataFrame:
    """Return columns of a table. Only the label of a CSV file can be missing for values
    like NA.
    """
    if file.name.lower().endswith(PARQUET):
        return pd.read_parquet(file, columns=names)
    encoding, texts = section.read.encoding, [n for n in names if n != section.label]
    data = pd.read_csv(
        file, usecols=texts, dtype=str, keep_default_na=False, encoding=encoding
    )
    labels = pd.read_csv(
        file,
        usecols=[section.label],
        dtype_backend="numpy_nullable",
        encoding=encoding,
    )
    return data.assign(**{str(section.label): labels[section.label]})


def _filtered(section: SequencesSchema, data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the values of `rows`, by column."""
    for name, value in section.rows.items():
        values = data[name].astype(str)
        if not len(data := data[values == value]):
            known = nearest(value, values.unique())
            raise ValueError(
                f"{section.source}: rows: column {name!r} has no {value!r}{known}"
            )
    return data


def _without_missing(section: SequencesSchema, data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a text and a label."""
    kept = np.ones(len(data), bool)
    for name in (str(section.column), str(section.label)):
        values = data[name]
        missing = values.isna() | values.astype(str).str.strip().eq("")
        refuse_or_note(
            f"{section.source}: column {name!r} has no value",
            data.index[missing].tolist(),
            drop=section.missing == "drop",
            noun="row",
        )
        kept &= ~missing.to_numpy()
    return data[kept]


def _without_repeated(section: SequencesSchema, data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose text does not occur before."""
    column, label = str(section.column), str(section.label)
    for row, value in data[column].items():
        if not isinstance(value, str):
            raise ValueError(
                f"{section.source}: row {row}: column {column!r} holds {value!r}, "
                "expected text"
            )
    again = data[column].duplicated()
    if again.any():
        first = data.groupby(column, sort=False)[label].transform("first")
        n_other = int((first[again] != data[label][again]).sum())
        rows = counted(int(again.sum()), "row")
        note(
            f"{section.source}: left out {rows} whose text occurs before, {n_other} of "
            "them with another label"
        )
    return data[~again]
