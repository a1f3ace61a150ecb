"""The inputs of a model with one of them changed, to see whether it matters.

Axes: n rows, d columns, V symbols.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ftml.data.ragged import Ragged
from ftml.data.trees import Forest


def inputs_changed(X: Any) -> tuple[list[str], list[Any]]:
    """Return the name of each input, and the inputs with that one changed in all rows.

    An input is a column, a pixel, a channel of a series or a symbol.
    """
    if isinstance(X, Forest):
        V = len(X.vocabulary)
        values = X.symbols
        make = functools.partial(_with_symbols, X)
    elif isinstance(X, Ragged) and X.vocabulary:
        V, values = len(X.vocabulary), X.values
        make = functools.partial(_with_values, X)
    elif isinstance(X, Ragged):
        names = [f"channel {j}" for j in range(X.values.shape[1])]
        parts = [_with_values(X, each) for each in _columns_moved(X.values)]
        return names, parts
    elif X.dtype == np.uint8 and X.ndim > 2:
        pixels = list(np.ndindex(X.shape[1:]))
        return [f"pixel {p}" for p in pixels], [_flipped(X, p) for p in pixels]
    else:
        names = [f"column {j}" for j in range(X.shape[1])]
        return names, list(_columns_moved(X))
    found = [v for v in np.unique(values[values >= 0]) if V > 1]
    changed = [make(np.where(values == v, (v + 1) % V, values)) for v in found]
    return [f"symbol {v}" for v in found], changed


def _with_symbols(X: Forest, symbols: np.ndarray) -> Forest:
    return Forest(symbols, X.parents, X.offsets, X.vocabulary)


def _with_values(X: Ragged, values: np.ndarray) -> Ragged:
    return Ragged(values, X.offsets, X.vocabulary)


def _columns_moved(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows with one column moved by about its deviation, or exchanged where
    it holds zeros and ones.
    """
    for j in range(X.shape[1]):
        moved, column = X.copy(), X[:, j]
        if np.isin(column, (0.0, 1.0)).all():
            moved[:, j] = 1 - column
        elif np.isnan(column).all():
            pass
        elif X.dtype.kind in "iu":
            moved[:, j] = np.where(column > 100, column - 60, column + 60)
        else:
            spread = np.nanmax(column) - np.nanmin(column)
            moved[:, j] = column + (spread if spread > 0 else 1.0)
        yield moved


def _flipped(X: np.ndarray, pixel: tuple[int, ...]) -> np.ndarray:
    flipped = X.copy()
    flipped[(slice(None), *pixel)] = 255 - X[(slice(None), *pixel)]
    return flipped
