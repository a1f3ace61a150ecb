"""Least squares of columns of any scale, with a rank that rounding does not decide.

    theta = argmin |y - A theta|^2,   A = [X 1] = QR,   theta = R^-1 Q'y

Axes: n samples, d features, p = d + 1 coefficients, r the rank. QR pivots on columns
that are centred and scaled, so that no unit of a feature decides the rank. Column j is
dependent on the ones before it where the part of it that they do not explain, the entry
R_jj, is rounding:

    |R_jj| <= max(n, p) eps |R_00|, the threshold of LAPACK and NumPy, or
    |R_jj| <= sqrt(n) (e_j + sum_i |T_ij| e_i),   e_j = eps max |x_j| / s_j,

with T = R_11^-1 R_12 the coefficients of the dependent columns on the others. The
second is the rounding of raw values, which centring does not take away: degrees Kelvin
are degrees Celsius only to the 14th digit.

Source: Golub and Van Loan (2013), "Matrix computations", section 5.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from ftml.data.standardize import Scaling
from ftml.families.linear._columns import centred_and_scaled, for_raw_columns

EPS = float(np.finfo(float).eps)


class Solution(NamedTuple):
    """The coefficients of raw columns and of the intercept, the last entry."""

    theta: np.ndarray
    """(p,): of all solutions the one of the smallest sum of squares without intercept,
    of raw or of scaled coefficients"""

    standard_errors: np.ndarray
    "(p,): NaN for a coefficient in which solutions differ, and where n <= r"


class Factors(NamedTuple):
    """The pivoted QR factorisation of the scaled columns and the ones, the last."""

    Q: np.ndarray
    R: np.ndarray

    kept: np.ndarray
    "(r,): independent columns"

    dropped: np.ndarray
    "(p - r,): columns that depend on these"

    tolerance: np.ndarray
    "(p,): the norm up to which a residual of each column is rounding"


def least_squares(
    X: np.ndarray, y: np.ndarray, *, shortest_scaled: bool = False
) -> Solution:
    """Return the solution for raw X (n, d) and y (n,), of any rank.

    shortest_scaled: of all solutions, return the one that is shortest in coefficients
    of scaled columns. X must be as it was read: the rounding of values is known from
    their size, which centring takes away.
    """
    scaled, scaling = centred_and_scaled(X, standardize=True)
    design = np.column_stack([scaled, np.ones(len(y))])
    p = design.shape[1]
    Q, R, kept, dropped, tolerance = _factors(design, _rounding(X, scaling))
    r = len(kept)
    theta = np.zeros(p)
    theta[kept] = scipy.linalg.solve_triangular(R[:r, :r], Q[:, :r].T @ y)
    residual = y - design @ theta
    inverse = np.zeros((p, r))
    inverse[kept] = scipy.linalg.solve_triangular(R[:r, :r], np.eye(r))
    errors = _standard_errors(for_raw_columns(inverse, scaling), residual)
    if not len(dropped):
        return Solution(for_raw_columns(theta, scaling), errors)
    T = scipy.linalg.solve_triangular(R[:r, :r], R[:r, r:])
    # A residual within the tolerance changes T by so much; less than that is no part.
    size = np.linalg.norm(inverse[kept], axis=1)
    part = np.where(np.abs(T) > size[:, None] * tolerance[dropped], T, 0.0)
    errors[~_identified(part, kept, dropped, scaling, tolerance)] = np.nan
    units = scaling
    if shortest_scaled:
        units = scaling._replace(scale=np.ones_like(scaling.scale))
    theta = _shortest(theta, T, part, kept, dropped, units)
    return Solution(for_raw_columns(theta, scaling), errors)


def _standard_errors(inverse: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Return those of the coefficients (p,) from R^-1 (p, r) in raw units."""
    n, r = len(residual), inverse.shape[1]
    noise = residual @ residual / (n - r) if n > r else np.nan
    largest = np.abs(inverse).max(axis=1)
    # Of columns in tiny or huge units the squares would overflow or underflow.
    unit = np.where((largest > 1e150) | (largest < 1e-150), largest, 1.0)
    unit = np.where(unit > 0, unit, 1.0)
    errors: np.ndarray = np.sqrt(noise * np.sum((inverse / unit[:, None]) ** 2, axis=1))
    return errors * unit


def _rounding(X: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return e (p,): what rounding of raw values is in the scaled columns."""
    return np.append(EPS * (np.abs(X).max(axis=0, initial=0.0) / scaling.scale), 0.0)


def _factors(design: np.ndarray, rounding: np.ndarray) -> Factors:
    """Return the factorisation of the design (n, p), with its rank."""
    n, p = design.shape
    Q, R, order = scipy.linalg.qr(design, mode="economic", pivoting=True)
    size = np.abs(np.diag(R))
    r = int(np.sum(size > max(n, p) * EPS * size[0]))
    while r > 1:
        T = scipy.linalg.solve_triangular(R[: r - 1, : r - 1], R[: r - 1, r - 1])
        noise = rounding[order[r - 1]] + np.abs(T) @ rounding[order[: r - 1]]
        if size[r - 1] > np.sqrt(n) * noise:
            break
        r -= 1
    tolerance = max(n, p) * EPS * size[0] + np.sqrt(n) * rounding
    return Factors(Q, R, order[:r], order[r:], tolerance)


def _identified(
    part: np.ndarray,
    kept: np.ndarray,
    dropped: np.ndarray,
    scaling: Scaling,
    tolerance: np.ndarray,
) -> np.ndarray:
    """Return which raw coefficients (p,) are the same in all solutions.

    part: (r, p - r) T without what is rounding. Solutions differ by the columns of
    [-T; I]. For the intercept these are read at X = 0, that is at -mean / scale.
    """
    p = len(kept) + len(dropped)
    same = np.zeros(p, bool)
    same[kept] = ~part.any(axis=1)
    origin = np.append(-scaling.center / scaling.scale, 1.0)
    explained = origin[kept] @ part
    size = np.abs(origin[kept]) @ np.abs(part) + np.abs(origin[dropped])
    differs = np.abs(origin[dropped] - explained) > size * tolerance[dropped].clip(EPS)
    same[-1] = not differs.any()
    return same


def _shortest(
    theta: np.ndarray,
    T: np.ndarray,
    part: np.ndarray,
    kept: np.ndarray,
    dropped: np.ndarray,
    scaling: Scaling,
) -> np.ndarray:
    """Return the solution (p,) of scaled columns whose raw coefficients are shortest.

    theta: (p,) the one that is 0 on dropped columns. With M = T in raw units and a the
    raw coefficients of dropped columns, those of kept ones are c - M a; [c - M a, a] is
    the shortest solution of [I M] x = c. Its rows are divided by their norms, so that
    units do not matter to its condition number; units below 1e-75 of the largest count
    as that, so that no square overflows.
    """
    scale = np.append(scaling.scale / scaling.scale.max(), 1.0).clip(1e-75)
    feature = kept < len(theta) - 1
    place = kept[feature]
    M = part[feature] * (scale[dropped] / scale[place, None])
    norm = np.sqrt(1.0 + np.sum(M**2, axis=1))
    rows = np.hstack([np.eye(len(place)), M]) / norm[:, None]
    Q, R = np.linalg.qr(rows.T)
    c = theta[place] / scale[place]
    x = Q @ scipy.linalg.solve_triangular(R, c / norm, trans="T")
    found = np.zeros_like(theta)
    found[dropped] = x[len(place) :] * scale[dropped]
    found[kept] = theta[kept] - T @ found[dropped]
    return found
