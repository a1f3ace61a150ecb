"""Imputation and scaling of feature columns, learnt from training samples only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Scaling(NamedTuple):
    """Per column, each (d,): the value for missing entries, the centre, the scale."""

    fill: np.ndarray
    center: np.ndarray
    scale: np.ndarray


def learn_scaling(X: np.ndarray) -> Scaling:
    """Return median, mean and standard deviation of each column of X (n, d).

    Missing values are NaN and do not count; a column without any value is filled with
    0. A constant column has its value as the centre and scale 1, so that it becomes 0
    and not NaN. The scale is right for every size of the values that float64 has.
    """
    seen = ~np.isnan(X)
    empty = ~seen.any(axis=0)
    fill = np.nanmedian(np.where(empty, 0.0, X), axis=0)
    filled = np.where(seen, X, fill)
    # Not std > 0: rounding gives a constant column of 0.1 a standard deviation of
    # 1e-17.
    low, high = filled.min(axis=0), filled.max(axis=0)
    varies = low < high
    scale = np.where(varies, _deviation(filled, varies), 1.0)
    return Scaling(fill, np.where(varies, _mean(filled), low), scale)


def _mean(X: np.ndarray) -> np.ndarray:
    """Return the mean of each column (d,), also where the sum would overflow."""
    with np.errstate(over="ignore"):
        mean: np.ndarray = X.mean(axis=0)
    large = ~np.isfinite(mean)
    if large.any():
        mean[large] = (X[:, large] / len(X)).sum(axis=0)
    return mean


def _deviation(X: np.ndarray, varies: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column (d,).

    varies: (d,) which columns are not constant. The squares of differences below 1e-154
    underflow and those above 1e154 overflow: such columns are divided by the largest
    difference first.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        deviation: np.ndarray = X.std(axis=0)
    lost = varies & ~((deviation > 1e-150) & (deviation < 1e150))
    if lost.any():
        off = X[:, lost] / 2.0 - _mean(X[:, lost]) / 2.0
        least = np.finfo(float).smallest_subnormal
        unit = np.maximum(np.abs(off).max(axis=0), least)
        relative = np.sqrt(np.mean((off / unit) ** 2, axis=0))
        deviation[lost] = np.maximum(2.0 * relative * unit, least)
    return deviation


def apply_scaling(X: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return X (n, d) with missing values filled, columns centred and scaled."""
    return (np.where(np.isnan(X), scaling.fill, X) - scaling.center) / scaling.scale
