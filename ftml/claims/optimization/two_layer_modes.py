"""In rotated weights a two-layer linear network's risk is that of Q~ W~ - Sigma.

    A - Gamma = U (Q~ W~ - Sigma) V',   Q~ = U'Q,   W~ = W V,   Gamma = U Sigma V'
    |A - Gamma|^2 = |Q~ W~ - Sigma|^2

so that the gradient of a mode depends only on that mode's rows. The measured value is
the largest relative distance of the family's gradients from those in rotated weights, 2
U (Q~ W~ - Sigma) W~' and 2 Q~' (Q~ W~ - Sigma) V'. The notes re-express A as U' Q~ W~
V' (mistake 31): with it the gradients are others. Gamma and the weights are generated
from the seed; only rounding is tolerated.

Source: Deep learning cheat sheet, 14.8.
"""

from __future__ import annotations

import numpy as np

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.neural.deep_linear import gradient

MISTAKES = (31,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the distance of the gradients in rotated weights, and the value in the
    source.
    """
    rng = np.random.default_rng(seed)
    d = 4
    Gamma, Q, W = rng.normal(size=(3, d, d))
    U, strengths, Vt = np.linalg.svd(Gamma)
    turned_Q, turned_W = U.T @ Q, W @ Vt.T
    rest = turned_Q @ turned_W - np.diag(strengths)
    printed = U.T @ turned_Q @ turned_W @ Vt - Gamma
    of_W, of_Q = gradient([W, Q], Gamma)
    expected = {
        "turned": (2 * U @ rest @ turned_W.T, 2 * turned_Q.T @ rest @ Vt),
        "printed": (2 * printed @ W.T, 2 * Q.T @ printed),
    }
    gaps = {
        name: [
            float(np.linalg.norm(found - other) / np.linalg.norm(found))
            for found, other in zip((of_Q, of_W), pair, strict=True)
        ]
        for name, pair in expected.items()
    }
    return Evidence(
        expected=0.0,
        measured=farthest(gaps["turned"], 0.0),
        tolerance=1e-12,
        value_in_source=min(gaps["printed"]),
    )
