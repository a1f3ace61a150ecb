"""The inverse sinusoid: up to three values of y for one x.

    x = y + 0.3 sin(2 pi y) + e,   y uniform in [0, 1], e uniform in [-0.1, 0.1]

Predicting x from y is easy. Predicting y from x is not: in the middle three values of y
have the same x, and their mean is none of them.

Source: Exam solutions, "NN & conditional density mixture"; Bishop 1994, "Mixture
density networks".
"""

from __future__ import annotations

import numpy as np

from ftml.data.table import Table


def inverse_sinusoid(*, n_samples: int, seed: int = 0) -> Table:
    """Return n_samples values of x and of the target y."""
    if n_samples < 1:
        raise ValueError(f"n_samples: expected >= 1, got {n_samples}")
    rng = np.random.default_rng(seed)
    y = rng.random(n_samples)
    x = y + 0.3 * np.sin(2 * np.pi * y) + rng.uniform(-0.1, 0.1, n_samples)
    return Table(x[:, None], y, ("x",), "y")
