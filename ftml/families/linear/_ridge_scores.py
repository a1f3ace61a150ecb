"""Validation errors of ridge regression for all penalties, and all folds, at once.

Axes: n samples, d features, A penalties, F folds. Penalties are those of `ridge.py`, in
the units of the mean squared loss; columns are centred in each fold and not scaled.

The Gram matrix of the rows outside a fold is that of all rows less that of the fold, so
all F of them cost one pass over X, and one batched eigendecomposition solves them for
every penalty. Leaving out one row needs no refit: with the hat matrix H = 1/n + X (X'X
+ n alpha I)^-1 X', its error is (y_i - yhat_i) / (1 - H_ii).

Source: FTML lecture 9, "Cross-validation"; leave-one-out: Golub, Heath and Wahba
(1979), "Generalized cross-validation", section 2.
"""

from __future__ import annotations

import numpy as np


def fold_errors(
    X: np.ndarray, y: np.ndarray, *, alphas: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Return the mean squared error of each fold under each penalty, (F, A).

    X: (n, d). y: (n,). folds: (n,) the fold of each row, 0 to F - 1. alphas: (A,) all
    positive, or (F, A) where each fold has its own: scikit-learn's penalty a is a / m
    for m rows to train on.
    """
    # Centring at all rows first keeps the terms that are subtracted below small.
    X, y = X - X.mean(axis=0), y - y.mean()
    parts = [np.flatnonzero(folds == f) for f in range(folds.max() + 1)]
    both = np.column_stack([X, y, np.ones(len(y))])
    of_fold = np.stack([both[rows].T @ both[rows] for rows in parts])
    rest = of_fold.sum(axis=0) - of_fold  # (F, d + 2, d + 2)
    moments = rest / rest[:, -1:, -1:]
    mean = moments[:, -1, :-1]  # (F, d + 1): of the columns of X, and of y
    moments = moments[:, :-1, :-1] - mean[:, :, None] * mean[:, None, :]
    values, vectors = np.linalg.eigh(moments[:, :-1, :-1])
    values = np.maximum(values, 0.0)  # rounding leaves some below 0
    along = vectors.transpose(0, 2, 1) @ moments[:, :-1, -1:]  # (F, d, 1)
    penalties = np.broadcast_to(alphas, (len(parts), np.shape(alphas)[-1]))
    theta = vectors @ (along / (values[:, :, None] + penalties[:, None, :]))
    errors = []
    for f, rows in enumerate(parts):
        predicted = (X[rows] - mean[f, :-1]) @ theta[f] + mean[f, -1]  # (m, A)
        errors.append(np.mean((y[rows, None] - predicted) ** 2, axis=0))
    return np.stack(errors)


def leave_one_out_errors(
    X: np.ndarray, y: np.ndarray, *, alphas: np.ndarray
) -> np.ndarray:
    """Return the mean squared error of rows left out one by one, (A,).

    X: (n, d). y: (n,). alphas: (A,) all positive, for fits on all n rows.
    """
    n = len(y)
    X, y = X - X.mean(axis=0), y - y.mean()
    values, vectors = np.linalg.eigh(X.T @ X / n)
    values = np.maximum(values, 0.0)  # rounding leaves some below 0
    Z = X @ vectors
    shrunk = 1.0 / (n * (values[:, None] + alphas))  # (d, A)
    residual = y[:, None] - Z @ ((Z.T @ y)[:, None] * shrunk)
    left = 1.0 - 1.0 / n - Z**2 @ shrunk  # 1 - H_ii
    return np.mean((residual / left) ** 2, axis=0)
