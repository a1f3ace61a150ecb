"""Linear layers are one linear map, of no more rank than the narrowest layer.

    W_L ... W_1 = A,   rank A <= min_l rank W_l

Depth without a nonlinearity adds nothing to a product of matrices. Five random layers
of 12, 9, 3, 8, 11 and 10 units have the rank 3; the measured value is that of their
product, by its singular values above 1e-10 of the largest.

Source: Deep learning cheat sheet, section 10.2, compositions of maps.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ftml.evidence import Budget, Evidence
from ftml.families.neural.deep_linear import product

SIZES = (12, 9, 3, 8, 11, 10)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the rank of the product beside the width of the narrowest layer."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(size=(above, below)) for below, above in pairwise(SIZES)]
    x = rng.normal(size=(SIZES[0], 40))
    out = x
    for layer in layers:
        out = layer @ out
    A = product(layers)
    strengths = np.linalg.svd(A, compute_uv=False)
    rank = float((strengths > 1e-10 * strengths[0]).sum())
    return Evidence(expected=float(min(SIZES)), measured=rank, tolerance=0.0)
