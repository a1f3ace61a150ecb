"""Checks of the rows that families of tables are trained on, and of those that models
are asked about. Axes: n rows, d columns.
"""

from __future__ import annotations

import numpy as np

from ftml.data.checks import as_float64
from ftml.data.standardize import ORDINARY, unit_of
from ftml.data.table import Table


def checked_rows(
    X: np.ndarray, d: int, *, unit: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return X (n, d), the rows that a model is asked about, as float64.

    unit: of the model, what values are divided by before they are squared, for all
    columns or of each. Raises TypeError unless X is an array of numbers, and ValueError
    unless it has the d columns of the fitted model and is finite, or if a square of
    X / unit overflows.
    """
    X = as_float64(X, "X")
    if X.ndim != 2 or X.shape[1] != d:
        raise ValueError(f"expected X (n, {d}), as the model was fitted, got {X.shape}")
    with np.errstate(over="ignore"):
        size = np.abs(X / unit)
    if not size.max(initial=0.0) < ORDINARY:
        i, j = map(int, np.argwhere(~(size < ORDINARY))[0])
        must = "have squares that float64 has, in the unit of the model"
        raise ValueError(
            f"X must {must if np.isfinite(X[i, j]) else 'be finite'}, got {X[i, j]:g} "
            f"in row {i}, column {j}, both counted from 0"
        )
    return X


def check_not_empty(table: Table) -> None:
    """Raise ValueError unless the training data has a row and a column."""
    if 0 in table.X.shape:
        raise ValueError(
            f"the training data has shape {table.X.shape}, expected a row or more, and "
            "a column or more"
        )


def check_squares(table: Table, *, each: bool = False) -> None:
    """Raise ValueError if there are no features, if squares of them overflow, or if all
    underflow.

    each: all squares of a single column must not underflow either. A family calls this
    for whose results squares of the columns as they are matter.
    """
    check_not_empty(table)
    largest = np.abs(table.X).max(axis=0)
    extreme = unit_of(table.X) != 1
    if not each and (largest < ORDINARY).all():
        extreme &= largest == largest.max()
    if extreme.any():
        j = int(extreme.argmax())
        raise ValueError(
            f"column {table.feature_names[j]} has values of up to {largest[j]:g}, "
            "whose squares float64 does not have; set scale: true for the dataset, or "
            "give the column another unit"
        )
