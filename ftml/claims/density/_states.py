"""All rows of zeros and ones, for claims about Boltzmann machines."""

from __future__ import annotations

import numpy as np


def states(size: int) -> np.ndarray:
    """Return all rows of zeros and ones, (2^size, size)."""
    return (np.arange(2**size)[:, None] >> np.arange(size) & 1).astype(float)
