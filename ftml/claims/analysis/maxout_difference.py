"""The difference of two maxout units is any polygonal line, exactly.

    f = max_i (u_i x + p_i) - max_i (v_i x + q_i)

What bends upwards and what bends downwards are two convex lines, and a convex line is
the maximum of its pieces: maxout with two units and a linear output is universal. The
measured value is the largest gap, relative to the range, over ten random lines of eight
pieces.

Source: Deep learning cheat sheet, section 10.5.5; Goodfellow et al. 2013, "Maxout
networks".
"""

from __future__ import annotations

import numpy as np
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.activations import maxout, polygonal_line

PIECES = 8


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap between the lines and the two units' difference."""
    rng = np.random.default_rng(seed)
    x, gaps = np.linspace(0, 1, 301), []
    for _ in range(10):
        corners = np.sort(rng.uniform(0.05, 0.95, size=PIECES - 1))
        slopes = rng.normal(size=PIECES)
        f = polygonal_line(x, corners, slopes, start=0.5)
        bends = np.diff(slopes)
        up = unit(x, corners, slopes[0], np.maximum(bends, 0.0), start=0.5)
        down = unit(x, corners, 0.0, np.maximum(-bends, 0.0), start=0.0)
        gaps.append(np.abs(up - down - f).max() / np.ptp(f))
    return Evidence(expected=0.0, measured=float(max(gaps)), tolerance=1e-12)


def unit(
    x: np.ndarray, corners: np.ndarray, first: float, bends: np.ndarray, *, start: float
) -> np.ndarray:
    """Return a convex line at x (n,) as the maximum of its pieces, (n,).

    bends: (m - 1,) >= 0, by how much the slope rises at each corner.
    """
    slopes = first + np.concatenate([[0.0], np.cumsum(bends)])
    offsets = start - np.concatenate([[0.0], np.cumsum(bends * corners)])
    z = torch.from_numpy(x[:, None] * slopes + offsets)
    found: np.ndarray = maxout(z, n_pieces=len(slopes))[:, 0].numpy()
    return found
