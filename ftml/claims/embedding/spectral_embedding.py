"""Embeddings V L^(+1/2), not V L^(-1/2), give back the matrix whose V and L they are.

    M ~ U_d S_d V_d',   x_i'z_j = M_ij  for  X = U S^p,  Z = V S^(1 - p),  at full rank

The notes end with V L^(-1/2) (mistake 39), whose products are those of the inverse; nor
has a matrix of counts only eigenvalues above 0. Six words. The measured value is the
largest gap between the family's products and its positive information M, relative to
the largest of M; the value in the source is that of the products of |L|^(-1/2) for the
counts.

Source: Deep learning cheat sheet, section 15.1.1, embedding by principal components.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ftml.claims.embedding._toy import dense, random_counts
from ftml.core import fit
from ftml.evidence import Budget, Evidence
from ftml.families.embedding import ppmi_svd

MISTAKES = (39,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a product, and the value in the source."""
    data = random_counts(seed)
    C = dense(data)
    sums = C.sum(axis=0)
    M = np.maximum(np.log(C * C.sum() / np.outer(sums, sums)), 0.0)
    gaps = []
    for p in (0.0, 0.5, 1.0):
        config = ppmi_svd.Config(dimension=6, smoothing=1.0, exponent=p, seed=seed)
        model = fit(config, data).model
        gaps.append(np.abs(model.X @ model.Z.T - M).max() / M.max())
    values, vectors = np.linalg.eigh(C)
    printed = vectors / np.sqrt(np.abs(values))
    return Evidence(
        expected=0.0,
        measured=float(max(gaps)),
        tolerance=1e-5,
        value_in_source=float(np.abs(printed @ printed.T - C).max() / C.max()),
        table=pd.DataFrame({"eigenvalue of C": values}),
    )
