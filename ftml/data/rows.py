"""The rows that a model is asked about, where their squares matter. Axes: n rows, d
columns.
"""

from __future__ import annotations

import numpy as np

from ftml.data.checks import as_float64, check_rows
from ftml.data.standardize import ORDINARY


def checked_rows(
    X: np.ndarray, d: int, *, unit: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return X (n, d), the rows that a model is asked about, as float64.

    unit: of the model, what values are divided by before they are squared, for all
    columns or of each. Raises TypeError and ValueError as `check_rows`, and ValueError
    if a square of X / unit overflows.
    """
    check_rows(X, d)
    X = as_float64(X, "X")
    with np.errstate(over="ignore"):
        size = np.abs(X / unit)
    if not size.max(initial=0.0) < ORDINARY:
        i, j = map(int, np.argwhere(~(size < ORDINARY))[0])
        raise ValueError(
            f"X must have squares that float64 has, in the unit of the model, got "
            f"{X[i, j]:g} in row {i}, column {j}, both counted from 0"
        )
    return X
