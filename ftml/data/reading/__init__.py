"""Reads the file of a table into a data frame whose columns have types.

Each column becomes numbers (int64, float64, or Int64 if whole numbers are missing),
booleans, dates or text; the type follows from all values of the column, or from the
options. What is detected or left out is said in a note, and what is not certain is a
ValueError that names the file, the line, the value and the key of `read:` to set.

Begin with `frame.py`. `files.py` reads each form of file, `columns.py` and `texts.py`
decide types, and `disguised.py` recognizes numbers and dates in text.
"""

from ftml.data.reading.disguised import check_disguised
from ftml.data.reading.files import SUFFIXES
from ftml.data.reading.frame import (
    is_table_file,
    missing_message,
    read_frame,
    row_places,
)
from ftml.data.reading.options import ReadOptions

__all__ = [
    "SUFFIXES",
    "ReadOptions",
    "check_disguised",
    "is_table_file",
    "missing_message",
    "read_frame",
    "row_places",
]
