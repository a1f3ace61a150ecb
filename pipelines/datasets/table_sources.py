"""Reads the table of a source: a file of a table, or a table of scikit-learn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data.reading import ReadOptions, read_frame
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch
from pipelines.datasets.table_rows import ORIGIN, Origin

SKLEARN = ("diabetes", "digits", "wine", "breast_cancer", "iris")


def frame(
    source: str,
    sha256: str | None = None,
    read: ReadOptions | None = None,
    *,
    columns: Sequence[str] | None = None,
    omit: Collection[str] = (),
) -> pd.DataFrame:
    """Return the table of a source: a file of a table, or a table of scikit-learn.

    read, columns and omit are those of `read_frame`; what it detects, converts or
    leaves out is noted. `attrs["origin"]` says where a row is. A table of scikit-learn
    has unscaled features and the column `target`, which holds class names for
    classification. Raises ValueError as `fetch` and `read_frame` do, and for anything
    but one file.
    """
    if source.startswith("sklearn:"):
        if read not in (None, ReadOptions()):
            raise ValueError(f"{source}: is part of scikit-learn; read is for files")
        data = _sklearn_frame(source, sha256)
        check_columns(data, [*(columns or ()), *omit], source=source)
        names = [name for name in data.columns if name not in omit]
        data.attrs[ORIGIN] = Origin(source, sha256)
        return data[names if columns is None else list(columns)]
    files = fetch(source, sha256)
    if len(files) > 1:
        raise ValueError(f"{source}: expected one table, got {len(files)} files")
    data = read_frame(files[0], read, columns=columns, omit=omit, name=source)
    for text in data.attrs["notes"]:
        note(f"{source}: {text}")
    data.attrs[ORIGIN] = Origin(source, sha256, read)
    return data


def check_columns(data: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Raise ValueError for the first of the columns that is not in the frame."""
    for name in columns:
        if name not in data.columns:
            raise ValueError(
                f"{source}: no column {name!r}{nearest(name, data.columns)}"
            )


def _sklearn_frame(source: str, sha256: str | None) -> pd.DataFrame:
    name = source.partition(":")[2]
    if name not in SKLEARN:
        raise ValueError(f"{source}: unknown dataset {name!r}{nearest(name, SKLEARN)}")
    if sha256 is not None:
        raise ValueError(f"{source}: is part of scikit-learn; sha256 is for files only")
    import sklearn.datasets

    options = {"scaled": False} if name == "diabetes" else {}
    data = getattr(sklearn.datasets, f"load_{name}")(as_frame=True, **options)
    table: pd.DataFrame = data.frame
    if "target_names" not in data:
        return table
    return table.assign(target=np.asarray(data.target_names).astype(str)[data.target])
