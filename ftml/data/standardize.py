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
    0. A constant column has scale 1, so that it becomes 0 and not NaN.
    """
    seen = ~np.isnan(X)
    empty = ~seen.any(axis=0)
    fill = np.nanmedian(np.where(empty, 0.0, X), axis=0)
    filled = np.where(seen, X, fill)
    # Not std > 0: rounding gives a constant column of 0.1 a standard deviation of
    # 1e-17.
    varies = filled.min(axis=0) < filled.max(axis=0)
    scale = np.where(varies, filled.std(axis=0), 1.0)
    return Scaling(fill, filled.mean(axis=0), scale)


def apply_scaling(X: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return X (n, d) with missing values filled, columns centred and scaled."""
    return (np.where(np.isnan(X), scaling.fill, X) - scaling.center) / scaling.scale
