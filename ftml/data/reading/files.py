"""Files of tables: their columns as Arrow arrays, before types are decided.

Columns of text files hold text. Columns of Parquet, Feather, JSON lines and Excel files
have the types that the file gives them. Only the chosen columns are converted.
"""

from __future__ import annotations

import csv
import zlib
from pathlib import Path

import pyarrow as pa

from ftml.data.reading import delimited, excel, typed_files
from ftml.data.reading.loaded import Choose, Loaded
from ftml.data.reading.options import ReadOptions

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
SUFFIXES = (*TEXT, ".parquet", ".pq", ".feather", ".xlsx", ".jsonl", ".jsonl.gz")


def load(path: Path, options: ReadOptions, choose: Choose) -> Loaded:
    """Return the chosen columns of a file, whose form follows from its name.

    Raises ValueError for a file that is no table of this form; the message names the
    line or the row.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise ValueError(f"expected a file {', '.join(SUFFIXES)}, got {path.name}")
    try:
        if name.endswith(TEXT):
            return delimited.load(path, options, choose)
        if name.endswith((".jsonl", ".jsonl.gz")):
            return typed_files.load_json(path, options, choose)
        if name.endswith(".xlsx"):
            return excel.load(path, options, choose)
        return typed_files.load_arrow(path, choose)
    except (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"not a table ({reason})") from None
