"""Predictions of a model for the rows of a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data.column_encoding import STRATEGIES, ColumnEncoding
from ftml.data.columns import decode
from ftml.data.reading import SUFFIXES, ReadOptions, is_table_file, read_frame
from ftml.predictor import UNKNOWN_CATEGORY, Predictor
from pipelines.cli.output import tables_beside
from pipelines.cli.stored_models import load_predictor
from pipelines.common.formatting import counted, shorten

WHOLE = ("integer", "long")
REAL = ("float", "double")
IMAGES = "docs/stages/images.md, Predict an image"
"The section that says how an image becomes a row."
MOST_ROWS = 5
"Rows with replaced values that are named for each column."
PIXELS = (
    "pixel_<row>_<column>, with _<channel> for images in colour, whole numbers; see "
    f"{IMAGES}"
)


def check_output(output: Path, files: Sequence[Path]) -> None:
    """Raise ValueError for a file to write that is one of the files to predict, or
    whose name says another format than CSV.
    """
    if is_table_file(output.name) and not output.name.endswith((".csv", ".txt")):
        raise ValueError(
            f"{output}: predictions are CSV; give a name that ends in .csv"
        )
    if output.exists() and any(f.exists() and f.samefile(output) for f in files):
        raise ValueError(f"{output}: is a file to predict; give another one to write")


def predictions(model: str, files: Sequence[Path]) -> pd.DataFrame:
    """Return a row of predictions for each row of a file of a table; for a model of
    images also for each image file, with its name in the column `file`.

    files: one table, or images and folders of images. A table must have the columns
    that the model uses, in any order. Other columns are left out, and named on stderr,
    as are categories that no training row had. Raises ValueError for missing columns,
    for values that are not of the column's kind, for a file that cannot be read and for
    a model that is not in the store.
    """
    file, is_table = files[0], len(files) == 1 and is_table_file(files[0].name)
    if is_table and not file.is_file():
        raise ValueError(f"{file}: no such file{tables_beside(file)}")
    predictor, types = load_predictor(model)
    if not is_table:
        from pipelines.cli import image_rows  # a table does not need Pillow

        if shape := image_rows.image_shape(predictor, types):
            return _of_images(predictor, files, shape)
        raise ValueError(
            f"{file}: expected one file {', '.join(SUFFIXES)} with a row for each "
            f"sample and {expected_columns(predictor, types)}"
        )
    if predictor.columns:
        rows = _read_columns(predictor, file)
    else:
        rows = read_frame(file)
        if types:
            rows = select_columns(rows, types, where=str(file))
    try:
        predicted = predictor.predict(rows)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    _note_what_is_unused(predictor, rows, file)
    _note_what_is_not_finite(predicted, file)
    return predicted


def _of_images(
    predictor: Predictor, paths: Sequence[Path], shape: tuple[int, ...]
) -> pd.DataFrame:
    """Return a row of predictions for each image file, with its name."""
    from pipelines.cli import image_rows

    files = image_rows.image_files(paths)
    predicted = predictor.predict(image_rows.read_images(files, shape))
    predicted.insert(0, "file", list(map(str, files)))
    return predicted


def expected_columns(predictor: Predictor, types: Mapping[str, str]) -> str:
    """Return which columns a model takes, for a message.

    types: the columns that MLflow has of a model whose predictor has none.
    """
    names = [column.name for column in predictor.columns] or list(types)
    if not names:
        return f"the columns that it was trained with, for images {PIXELS}"
    return f"the columns of the model: {shorten(names)}"


def _read_columns(predictor: Predictor, file: Path) -> pd.DataFrame:
    """Return the columns of a model from a file, each read as the kind that it is."""
    preprocessor = predictor.interface.preprocessor
    read = preprocessor.spec.read if preprocessor else ReadOptions()
    types = {column.name: column.kind for column in predictor.columns}
    options = read.model_copy(update={"sample": None, "types": types})
    names = [column.name for column in predictor.columns]
    return read_frame(file, options, columns=names)


def _note_what_is_not_finite(predicted: pd.DataFrame, file: Path) -> None:
    """Count on stderr the rows whose prediction is not a finite number."""
    numbers = predicted.select_dtypes("number").to_numpy(np.float64)
    rows = np.flatnonzero(~np.isfinite(numbers).all(axis=1)) + 1
    if len(rows):
        verb = "is not a finite number" if len(rows) == 1 else "are not finite numbers"
        print(
            f"{file}: {counted(len(rows), 'prediction')} {verb}, the first in row "
            f"{rows[0]}",
            file=sys.stderr,
        )


def _note_what_is_unused(predictor: Predictor, rows: pd.DataFrame, file: Path) -> None:
    """Name on stderr the columns that the model does not use, and by column the values
    that it replaces, with their rows.
    """
    used = {column.name for column in predictor.columns}
    unused = [name for name in rows.attrs.get("all_names", ()) if name not in used]
    if used and unused:
        print(f"{file}: columns that are not used: {shorten(unused)}", file=sys.stderr)
    preprocessor = predictor.interface.preprocessor
    encodings = preprocessor.encodings if preprocessor else ()
    by_name = {encoding.column.name: encoding for encoding in encodings}
    for each in predictor.replaced(rows):
        n, where = int(each.rows.sum()), _listed_rows(each.rows)
        if each.reason == UNKNOWN_CATEGORY:
            have = f"{counted(n, 'row')} {'has' if n == 1 else 'have'}"
            said = f"{have} {each.reason} ({where})"
        else:
            values = f"{counted(n, 'missing value')} {'is' if n == 1 else 'are'}"
            said = f"{values} replaced ({where}): {_replacement(by_name[each.column])}"
        print(f"{file}: column {each.column}: {said}", file=sys.stderr)


def _listed_rows(chosen: np.ndarray) -> str:
    """Return the numbers of the rows that a mask (n,) chooses, counted from 1; of more
    than MOST_ROWS the first ones.
    """
    found = np.flatnonzero(chosen) + 1
    listed = ", ".join(map(str, found[:MOST_ROWS]))
    more = ", ..." if len(found) > MOST_ROWS else ""
    return f"row{'s' if len(found) > 1 else ''} {listed}{more}"


def _replacement(encoding: ColumnEncoding) -> str:
    """Return what a missing value of a column becomes: how the value was found, unless
    `missing` gives it, and the value.
    """
    column, how = encoding.column, encoding.strategy
    if encoding.fill is None:
        return f"{how}, none of the known categories"
    value = str(decode(np.array([[encoding.fill]]), [column]).iloc[0, 0])
    if how not in STRATEGIES:
        return value
    usual = "median" if column.kind in ("number", "date") else "most_frequent"
    if how == "indicator":
        return f"indicator, {usual} {value}"
    return f"{how if column.kind in ('number', 'date') else usual} {value}"


def select_columns(
    rows: pd.DataFrame, wanted: Mapping[str, str], *, where: str
) -> pd.DataFrame:
    """Return the wanted columns with the types of a signature (`double`, `long`, ...).

    Raises ValueError, which names all missing and extra columns, or the first column
    with a value of another type.
    """
    missing = [name for name in wanted if name not in rows]
    extra = [str(name) for name in rows if name not in wanted]
    if missing or extra:
        faults = [("missing", missing), ("extra", extra)]
        listed = "; ".join(
            f"{what}: {shorten(names)}" for what, names in faults if names
        )
        raise ValueError(f"{where}: not the columns of the model; {listed}")
    columns = {
        name: _typed(rows[name], kind, where=f"{where}: column {name}")
        for name, kind in wanted.items()
    }
    return pd.DataFrame(columns)


def _typed(column: pd.Series, kind: str, *, where: str) -> pd.Series:
    if kind not in (*WHOLE, *REAL):
        return column.astype(str)
    try:
        numbers = pd.to_numeric(column).astype("float64")
    except (ValueError, TypeError):
        wrong = column[pd.to_numeric(column, errors="coerce").isna()].iloc[0]
        raise ValueError(f"{where}: expected numbers, got {wrong!r}") from None
    if kind in REAL:
        return numbers.astype("float64" if kind == "double" else "float32")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise ValueError(f"{where}: expected whole numbers")
    return numbers.astype("int64" if kind == "long" else "int32")
