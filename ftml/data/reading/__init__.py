"""Reads the file of a table into a data frame whose columns have types.

Each column becomes numbers (int64, float64, or Int64 if whole numbers are missing),
booleans, dates or text; the type follows from all values of the column, or from the
options. What is detected or left out is said in a note, and what is not certain is a
ValueError that names the file, the line, the value and the key of `read:` to set.

Begin with `frame.py`. `files.py` reads each form of file (`delimited.py`, `excel.py`,
`typed_files.py`). `columns.py` decides the type of a column, and of one of text
`text_kinds.py` and `text_numbers.py`. `disguised.py` recognizes numbers and dates that
are written in another way (`number_forms.py`), and says which key reads them.
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
