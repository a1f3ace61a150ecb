"""PCA loses just the eigenvalues that it drops, of rows that are centred first.

    (1/n) sum_i |x_i - r_i|^2 = sum_{j > q} lambda_j,
    S = (1/n) sum_i (x_i - m)(x_i - m)'

The notes print x_i sum x_i for the centred row, and S = X X' without 1/n (mistake 44).
The wine table, two components. The measured value is the mean squared distance of the
rows from their reconstructions over the sum of the dropped eigenvalues of S; in the
printed version S is that of the rows as they are, not divided.

Source: Deep learning cheat sheet, section 17.2, principal component analysis; FTML
lecture 9, "Unsupervised learning: dimensionality reduction".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import pca

MISTAKES = (44,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the lost fraction of what theory drops; nothing is random."""
    X = load_wine().data
    rows = []
    for q in (1, 2, 5, 10):
        model = fit(pca.Config(n_components=q), Table(X)).model
        lost = float(np.mean(np.sum((X - model.reconstruct(X)) ** 2, axis=1)))
        centred = X - X.mean(axis=0)
        right, printed = (
            dropped(S, q) for S in (centred.T @ centred / len(X), X.T @ X)
        )
        rows.append((q, lost, right, printed))
    columns = ["components", "lost", "dropped eigenvalues of S", "of X X' in the notes"]
    table = pd.DataFrame(rows, columns=columns)
    shares = table["lost"] / table[columns[2]]
    return Evidence(
        expected=1.0,
        measured=float(shares.iloc[int((shares - 1).abs().argmax())]),
        tolerance=1e-9,
        value_in_source=float(table["lost"][1] / table[columns[3]][1]),
        table=table,
    )


def dropped(S: np.ndarray, q: int) -> float:
    """Return the sum of all but the q largest eigenvalues of S (d, d)."""
    return float(np.linalg.eigvalsh(S)[:-q].sum())
