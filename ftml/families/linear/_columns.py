"""Scaling of the columns of X for linear families, and its inverse for coefficients.

Axes: n samples, d features. Columns are always centred, because the intercept is not
penalised: that changes no prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftml.data.standardize import (
    Scaling,
    apply_scaling,
    check_inverse,
    check_squares,
    learn_scaling,
)


def centred_and_scaled(
    X: np.ndarray, *, standardize: bool, names: Sequence[str] = ()
) -> tuple[np.ndarray, Scaling]:
    """Return X (n, d) centred, with unit standard deviation if `standardize`, and its
    scaling. names: of the columns, for messages.

    Raises ValueError as `check_squares` for columns that are not scaled, and as
    `check_inverse` for others.
    """
    scaling = learn_scaling(X)
    if standardize:
        check_inverse(scaling.scale)
    else:
        check_squares(X, names)
        scaling = scaling._replace(scale=np.ones_like(scaling.scale))
    return apply_scaling(X, scaling), scaling


def for_raw_columns(theta: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return the coefficients of raw columns for those of scaled ones.

    theta: (d + 1,) or (d + 1, k), intercept last.
    """
    weights = (theta[:-1].T / scaling.scale).T
    return np.concatenate([weights, [theta[-1] - scaling.center @ weights]])
