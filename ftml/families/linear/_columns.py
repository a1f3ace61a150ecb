"""Scaling of the columns of X for linear families, and its inverse for coefficients.

Axes: n samples, d features. Columns are always centred, because the intercept is not
penalised: that changes no prediction.
"""

from __future__ import annotations

import numpy as np

from ftml.data.standardize import Scaling, apply_scaling, learn_scaling


def centred_and_scaled(
    X: np.ndarray, *, standardize: bool
) -> tuple[np.ndarray, Scaling]:
    """Return X (n, d) centred, with unit standard deviation if `standardize`, and its
    scaling.
    """
    scaling = learn_scaling(X)
    if not standardize:
        scaling = scaling._replace(scale=np.ones_like(scaling.scale))
    return apply_scaling(X, scaling), scaling


def for_raw_columns(theta: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return the coefficients of raw columns for those of scaled ones.

    theta: (d + 1,) or (d + 1, k), intercept last.
    """
    weights = (theta[:-1].T / scaling.scale).T
    return np.concatenate([weights, [theta[-1] - scaling.center @ weights]])
