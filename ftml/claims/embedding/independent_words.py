"""Words that are neighbours by chance alone have no mutual information.

    C_ij = C_i C_j / sum C:   PMI = 0;   C times c there:   PMI = log c at the pair

Counts of forty words are an outer product, but those of one pair three times as many.
The measured value is the number of entries of the family's positive information above
0.01: the two of that pair, every other one being 0 but for what the pair adds to the
row sums.

Source: Deep learning cheat sheet, section 15.1.1, pointwise mutual information.
"""

from __future__ import annotations

import numpy as np

from ftml.data import Cooccurrence
from ftml.evidence import Budget, Evidence
from ftml.families.embedding._matrix import symmetric
from ftml.families.embedding.ppmi_svd import ppmi

V = 40


def check(seed: int, budget: Budget) -> Evidence:
    """Return the number of entries with information."""
    share = np.random.default_rng(seed).uniform(0.5, 1.5, size=V)
    row, col = np.triu_indices(V)
    weight = share[row] * share[col] * np.where(row == col, 0.5, 1.0)
    weight[(row == 3) & (col == 17)] *= 3.0
    data = Cooccurrence(
        tuple(f"w{i}" for i in range(V)),
        np.rint(1000 * share).astype(np.int64),
        row.astype(np.int32),
        col.astype(np.int32),
        weight,
    )
    M, _ = ppmi(symmetric(data), smoothing=1.0, shift=1.0)
    large = M.value > 0.01
    pairs = set(zip(M.row()[large].tolist(), M.col[large].tolist(), strict=True))
    found = len(pairs) if pairs == {(3, 17), (17, 3)} else float("nan")
    return Evidence(expected=2.0, measured=float(found), tolerance=0.0)
