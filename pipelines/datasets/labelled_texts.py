"""Reads a table of labelled texts, and says which of its rows are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data.reading import row_places
from pipelines.common.formatting import counted
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch
from pipelines.datasets.table_sources import frame
from pipelines.params.text import SequencesSchema


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
    """Return columns of the table; its index is the row, counted from 0.

    The label has the type that its values have. Other columns are text, in which NA and
    None are no missing values.
    """
    label, read = str(section.label), section.read
    texts = [name for name in dict.fromkeys(names) if name != label]
    types = {**dict.fromkeys(texts, "category"), **read.types}
    as_text = read.model_copy(update={"types": types, "keep_na": True})
    source, sha256 = section.source, section.sha256
    data = frame(source, sha256, as_text, columns=texts)
    labels = frame(source, sha256, read, columns=[label])
    data[label] = labels[label]
    data.attrs["missing_texts"] = labels.attrs["missing_texts"]
    return data


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
        noun, places = _places(section, data.index[missing].tolist())
        refuse_or_note(
            f"{section.source}: column {name!r} has no value{_kept(data, name)}",
            places,
            drop=section.missing == "drop",
            noun=noun,
        )
        kept &= ~missing.to_numpy()
    return data[kept]


def _kept(data: pd.DataFrame, name: str) -> str:
    """Return which texts were read as missing, and the key that keeps them."""
    texts = data.attrs["missing_texts"].get(name, {})
    if not (usual := [f'"{text}"' for text in texts if text.strip()]):
        return ""
    return f" ({', '.join(usual)}; read: {{keep_na: true}} keeps such texts)"


def _places(section: SequencesSchema, rows: list[int]) -> tuple[str, list[int]]:
    """Return where a person finds rows of the file: their lines, or their numbers."""
    if not rows:
        return "row", []
    (file,) = fetch(section.source, section.sha256)
    places = row_places(file, section.read, rows)
    nouns, numbers = zip(*map(str.split, places), strict=True)
    return nouns[0], list(map(int, numbers))


def _without_repeated(section: SequencesSchema, data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose text does not occur before."""
    column, label = str(section.column), str(section.label)
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
