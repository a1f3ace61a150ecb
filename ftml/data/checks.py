"""What every data kind checks: the types of its arrays, its names, and what it joins;
and what every model checks of the rows that it is given (`check_rows`).

One rule holds for all kinds. A value that the documented type has is converted, and any
other value is an error that names it: nothing is rounded, wrapped or cut. An array of
the documented type in C order is returned unchanged, without a copy. An array in
another order, such as that of Fortran, is copied, because the order changes the
rounding of sums of products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

SHOWN = 8
"Names that a message lists."
EXACT = 2**53
"The largest whole number up to which float64 has every whole number."


def as_integers(
    values: np.ndarray, what: str, *, dtype: type[np.signedinteger[Any]] = np.int64
) -> np.ndarray:
    """Return whole numbers as int64, or as another signed type.

    Booleans, integers of any type and floating-point numbers without a fraction are
    converted. Raises ValueError that names the first other value, and TypeError for
    values that are not numbers.
    """
    _check_numbers(values, what, "whole numbers")
    if values.dtype == dtype:
        return np.asarray(values, order="C")
    if not np.can_cast(values.dtype, dtype):
        info = np.iinfo(dtype)
        # As a float, the largest int64 rounds up to 2^63, which is no int64.
        fits = (values >= info.min) & (values < float(info.max) + 1.0)
        if values.dtype.kind == "f":
            fits &= np.floor(values) == values
        if not fits.all():
            first = values[~fits][0]
            raise ValueError(
                f"{what} must be whole numbers of the type {info.dtype}, got {first!s}"
            )
    return values.astype(dtype, order="C")


def as_float64(values: np.ndarray, what: str) -> np.ndarray:
    """Return numbers as float64.

    Booleans, integers up to 2^53 and shorter floating-point numbers are converted.
    Raises ValueError that names the first larger integer, and TypeError for values that
    are not numbers.
    """
    _check_numbers(values, what, "numbers")
    if values.dtype == np.float64:
        return np.asarray(values, order="C")
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        large = (values > EXACT) | (values < -EXACT)
        if large.any():
            raise ValueError(
                f"{what} must be numbers that float64 has, got {values[large][0]}, "
                "which it would round"
            )
    return values.astype(np.float64, order="C")


def check_array(values: np.ndarray, what: str) -> None:
    """Raise TypeError for what is no NumPy array, and for a masked array, whose mask
    NumPy's and PyTorch's functions ignore.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{what} is a masked array, whose masked values would be taken for data; "
            "fill them with its method `filled`"
        )
    # The product of a matrix and a vector is no vector.
    if not isinstance(values, np.ndarray) or isinstance(values, np.matrix):
        raise TypeError(f"{what} must be a NumPy array, got {type(values).__name__}")


def _check_numbers(values: np.ndarray, what: str, expected: str) -> None:
    check_array(values, what)
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} must be {expected}, got values of the type {values.dtype}"
        )


def check_rows(
    X: np.ndarray, d: int, *, what: str = "X", missing: bool = False
) -> None:
    """Raise ValueError unless X is (n, d), rows with the d columns that a model was
    fitted on, and finite; TypeError unless it is an array of numbers.

    n may be 0. what: the name of X. missing: whether NaN is a missing value.
    """
    _check_numbers(X, what, "numbers")
    if X.ndim != 2:
        raise ValueError(
            f"{what} has shape {X.shape}, expected (n, {d}), a row for each sample; "
            "for one sample x it is x[None]"
        )
    if X.shape[1] != d:
        raise ValueError(
            f"{what} has {X.shape[1]} columns, the model was fitted on {d}"
        )
    check_finite(X, what, missing=missing)


def check_finite(
    values: np.ndarray,
    what: str,
    *,
    names: Sequence[str] = (),
    missing: bool = False,
) -> None:
    """Raise ValueError that names the first value which is infinite or NaN.

    names: of the columns of (n, d) values, if they have any. missing: whether NaN is a
    missing value, which is no error.
    """
    # Most values are finite, and then their sum is: that needs no array of their size.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    wrong = np.isinf(values) if missing else ~np.isfinite(values)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        column = f" (column {names[place[1]]})" if names else ""
        raise ValueError(
            f"{what} must be finite, got {values[place]} in "
            f"{what}[{', '.join(map(str, place))}]{column}"
        )


def as_indices(
    index: np.ndarray, names: Sequence[str], *, what: str, of: str
) -> np.ndarray:
    """Return an index (n,) into names as int64.

    what, of: what the index and the names are called. Raises ValueError for a value
    that is no index of them and for a name that occurs twice, and TypeError for values
    that are not numbers.
    """
    check_different(names, of)
    found = as_integers(index, what)
    if len(found) and ((low := found.min()) < 0 or found.max() >= len(names)):
        raise ValueError(
            f"{what} must index the {len(names)} {of} from 0, got "
            f"{low if low < 0 else found.max()}"
        )
    return found


def check_different(names: Sequence[str], what: str) -> None:
    """Raise ValueError that names the first of the names which occurs twice."""
    if len(set(names)) < len(names):
        twice = next(name for name, n in Counter(names).items() if n > 1)
        raise ValueError(f"{what} must differ from each other, got {twice!r} twice")


def check_joins(one: Any, other: Any, *, without: Collection[str] = ()) -> None:
    """Raise unless another block of a data kind can be joined to one.

    Both must be of one kind, have samples of one shape, and agree in every field that
    is not an array, such as the classes; `without` names fields that may differ. Raises
    TypeError for another kind and ValueError that names the field.
    """
    if type(other) is not type(one):
        kinds = (type(each).__name__ for each in (one, other))
        raise TypeError(f"{' and '.join(kinds)} cannot be joined: expected one kind")
    for name in (field.name for field in fields(one) if field.name not in without):
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, np.ndarray):
            if a.shape[1:] != b.shape[1:]:
                raise ValueError(
                    f"the field {name} differs in shape: {_shape(a)} and {_shape(b)}; "
                    "both must come from one dataset"
                )
        elif a != b:
            raise ValueError(
                f"the field {name} differs: {_shown(a, b)} and {_shown(b, a)}; both "
                "must come from one dataset"
            )


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(['n', *map(str, array.shape[1:])])})"


def _shown(value: object, other: object) -> str:
    """Return a value for a message; of many names those about the first difference."""
    if not isinstance(value, tuple):
        return str(value)
    if not value:
        return "none"
    first = 0
    if len(value) > SHOWN and isinstance(other, tuple):
        pairs = enumerate(zip(value, other, strict=False))
        same = min(len(value), len(other))
        first = next((i for i, (a, b) in pairs if a != b), same)
    part = value[first : first + SHOWN]
    before = f"{first} the same, " if first else ""
    rest = len(value) - first - len(part)
    return f"{before}{', '.join(map(str, part))}{f' and {rest} more' if rest else ''}"
