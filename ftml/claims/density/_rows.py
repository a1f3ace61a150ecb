"""Rows of three drawn Gaussians, for claims about mixtures."""

from __future__ import annotations

import numpy as np

K = 3


def random_rows(seed: int, n: int = 400) -> np.ndarray:
    """Return rows (n, 2) from three Gaussians that overlap a little."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 5.0]])
    roots = np.array([[[1.0, 0.0], [0.6, 0.8]], [[0.7, 0.0], [-0.4, 1.2]], np.eye(2)])
    which = rng.choice(K, n, p=[0.5, 0.3, 0.2])
    z = rng.normal(size=(n, 2))
    return centres[which] + np.einsum("nij,nj->ni", roots[which], z)
