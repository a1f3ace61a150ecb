"""Activations by name, their derivatives, and identities between them.

    relu (x)_+     absolute |x|     hard_tanh min(1, max(-1, x))
    sigmoid s(x) = 1 / (1 + e^-x),  s' = s (1 - s)        tanh,  tanh' = 1 - tanh^2

Where a slope jumps, the derivative is that of torch: 0 at the corners. The notes print
tanh for its derivative.

Source: Deep learning cheat sheet, sections 7 and 10.2 to 10.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["relu", "absolute", "hard_tanh", "sigmoid", "tanh"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "absolute": torch.abs,
    "hard_tanh": F.hardtanh,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}

DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda z, h: (z > 0).to(z.dtype),
    "absolute": lambda z, h: z.sign(),
    "hard_tanh": lambda z, h: (z.abs() < 1).to(z.dtype),
    "sigmoid": lambda z, h: h * (1 - h),
    "tanh": lambda z, h: 1 - h * h,
}
"The derivative from the input z and the output h = sigma(z)."


def maxout(z: Tensor, *, n_pieces: int) -> Tensor:
    """Return max over each unit's pieces, (..., u), for z (..., u n_pieces)."""
    return z.unflatten(-1, (-1, n_pieces)).amax(dim=-1)


def polygonal_line(
    x: np.ndarray, corners: np.ndarray, slopes: np.ndarray, *, start: float
) -> np.ndarray:
    """Return a polygonal line as a sum of ReLUs, (n,).

        f(x) = start + a_0 x + sum_i (a_i - a_{i-1}) (x - c_i)_+

    corners: (m - 1,), rising. slopes: (m,), of the pieces from left to right. start:
    f(0), for corners above 0. m + 1 numbers make m pieces.
    """
    bends = np.maximum(x[:, None] - corners, 0.0)  # (n, m - 1)
    return start + slopes[0] * x + bends @ np.diff(slopes)


def region_bound(m: int, n: int) -> int:
    """Return the most cells that m hyperplanes cut R^n into (Zaslavsky).

    sum_{i=0}^{min(m, n)} C(m, i): 2^m for m <= n. A ReLU layer of m units is linear on
    each. Deep nets can have more, by a lower bound and not an upper one (mistake 24).
    """
    return sum(math.comb(m, i) for i in range(min(m, n) + 1))


def count_regions(W: np.ndarray, b: np.ndarray) -> int:
    """Return the number of cells of the lines W x + b = 0 in the plane.

    W: (m, 2), b: (m,). Each crossing opens as many cells as it has lines less one: 1 +
    m + sum over the crossings of (lines through it - 1), parallel lines never crossing.
    """
    crossings: dict[tuple[float, float], set[int]] = {}
    for i, j in combinations(range(len(W)), 2):
        pair = W[[i, j]]
        if abs(np.linalg.det(pair)) > 1e-12:
            place = np.linalg.solve(pair, -b[[i, j]])
            key = (round(float(place[0]), 9), round(float(place[1]), 9))
            crossings.setdefault(key, set()).update((i, j))
    return 1 + len(W) + sum(len(lines) - 1 for lines in crossings.values())
