"""Imputation and scaling of feature columns, learnt from training samples only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Scaling(NamedTuple):
    """Per column, each (d,): the value for missing entries, the centre, the scale."""

    fill: np.ndarray
    center: np.ndarray
    scale: np.ndarray


ORDINARY = 2.0**460
"""Numbers whose absolute value is below this, about 3e138, or 0 and above its inverse:
the sum of the squares of any number of them is a double."""


SMALLEST = 2.0**-1000
"""About 9e-302: the least standard deviation by which a coefficient or a density may be
divided, so that it is a double."""


def unit_of(values: np.ndarray) -> np.ndarray:
    """Return a power of two for each column of values (n, d), or of (n,), by which they
    are divided before their moments are computed: 1 unless the squares of its largest
    number would overflow or underflow. Dividing by it, and multiplying a moment by it,
    is exact.
    """
    largest = np.abs(values).max(axis=0, initial=0.0)
    _, exponent = np.frexp(largest)
    ordinary = (largest < ORDINARY) & (largest > 1 / ORDINARY) | (largest == 0)
    unit: np.ndarray = np.where(ordinary, 1.0, np.ldexp(1.0, exponent - 1))
    return unit


def check_squares(X: np.ndarray, names: Sequence[str] = ()) -> None:
    """Raise ValueError for columns (n, d) whose squares overflow, or all underflow, so
    that their variances and distances would be infinite or 0.

    names: of the d columns, which are numbered from 0 without them.
    """
    largest = np.maximum(X.max(axis=0, initial=0.0), -X.min(axis=0, initial=0.0))
    j = int(largest.argmax())
    if (unit_of(largest[[j]]) != 1).any():
        raise ValueError(
            f"column {names[j] if names else j} has values up to {largest[j]:.3g}, and "
            f"the largest value must lie between {1 / ORDINARY:.0e} and "
            f"{ORDINARY:.0e}, because values are squared; change the unit of the "
            "columns, or set `scale: true` of the dataset"
        )


def moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each column of X (n, d); of a
    constant column its value and 1.
    """
    unit = unit_of(X)
    scaled = X if (unit == 1).all() else X / unit
    # Not std > 0: rounding gives a constant column of 0.1 a standard deviation of
    # 1e-17.
    varies = X.min(axis=0) < X.max(axis=0)
    mean = np.where(varies, scaled.mean(axis=0) * unit, X.min(axis=0))
    return mean, np.where(varies, scaled.std(axis=0) * unit, 1.0)


def standardized(
    X: np.ndarray, mean: np.ndarray, scale: np.ndarray, *, names: Sequence[str]
) -> np.ndarray:
    """Return (X - mean) / scale for finite X (n, d). names: of the d columns.

    Raises ValueError for a number that is too far from the mean for a double.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found: np.ndarray = (X - mean) / scale
        if np.isfinite(found).all():
            return found
        found = (X / 2 - mean / 2) / (scale / 2)  # X - mean may overflow
    if not (wrong := ~np.isfinite(found)).any():
        return found
    i, j = map(int, np.argwhere(wrong)[0])
    raise ValueError(
        f"feature {names[j]}, row {i + 1}: {X[i, j]:g} is too far from the training "
        f"rows, whose mean is {mean[j]:g} and standard deviation {scale[j]:g}, to be "
        "scaled"
    )


def learn_scaling(X: np.ndarray) -> Scaling:
    """Return median, mean and standard deviation of each column of X (n, d).

    Missing values are NaN and do not count; a column without any value is filled with
    0. A constant column has its value as the centre and scale 1, so that it becomes 0
    and not NaN. The scale is right for every size of the values that float64 has.
    """
    seen = ~np.isnan(X)
    known = np.where(seen.any(axis=0), X, 0.0)
    unit = unit_of(np.where(seen, X, 0.0))
    fill = np.nanmedian(known / unit, axis=0) * unit
    return Scaling(fill, *moments(np.where(seen, X, fill)))


def check_inverse(scale: np.ndarray) -> None:
    """Raise ValueError if a standard deviation (d,) is below `SMALLEST`."""
    if (scale < SMALLEST).any():
        j = int(scale.argmin())
        raise ValueError(
            f"column {j}, counted from 0, has a standard deviation of {scale[j]:.0e}, "
            f"expected {SMALLEST:.0e} or more; change its unit, or leave it out"
        )


def apply_scaling(X: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return X (n, d) with missing values filled, columns centred and scaled."""
    return (np.where(np.isnan(X), scaling.fill, X) - scaling.center) / scaling.scale
