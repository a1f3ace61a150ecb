"""Eight Gaussians on a ring: data that show whether a model generates all modes.

    x = 2 (cos a, sin a) + 0.05 e,   a = 2 pi c / 8,   e ~ N(0, I)

with the mode c of 0, ..., 7 equally probable; c is the class. Neighbouring modes are
1.53 apart, thirty standard deviations, so samples between two modes are clearly
visible.

Source: Metz et al. 2017, "Unrolled generative adversarial networks", section 3.1, for
the ring.
"""

from __future__ import annotations

import numpy as np

from ftml.data.table import Table

MODES = 8
RADIUS = 2.0
DEVIATION = 0.05


def ring(*, n_samples: int, seed: int = 0) -> Table:
    """Return n_samples samples (x, y), with equally probable modes."""
    if n_samples < 1:
        raise ValueError(f"n_samples: expected >= 1, got {n_samples}")
    rng = np.random.default_rng(seed)
    mode = rng.integers(MODES, size=n_samples)
    angle = 2 * np.pi * mode / MODES
    X = RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
    X += DEVIATION * rng.normal(size=X.shape)
    names = tuple(str(c) for c in range(MODES))
    return Table(X, mode, ("x", "y"), "mode", names)
