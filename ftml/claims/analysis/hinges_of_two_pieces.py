"""On a line hinges of n + 1 = 2 pieces make every polygonal line; of one piece, none.

    f(x) = start + a_0 x + sum_i +-max(0, |a_i - a_{i-1}| (x - c_i))

Wang and Sun: a continuous piecewise linear function of n inputs is a signed sum of
hinges of at most n + 1 affine pieces. The notes print ceil(log2(n + 1)), which is the
number of nested maxima of two that such a hinge takes (mistake 25): for n = 1 that is
one piece, an affine map, and sums of these are affine. The measured value is the
largest gap, relative to the range of f, over ten random lines of six pieces; the value
in the source is that of the best affine map.

Source: Deep learning cheat sheet, section 10.5.4, Wang and Sun 2005.
"""

from __future__ import annotations

import numpy as np
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.activations import maxout, polygonal_line

MISTAKES = (25,)

PIECES = 6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap to a sum of hinges, and to one of affine maps."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 201)
    of_two, of_one = [], []
    for _ in range(10):
        corners = np.sort(rng.uniform(0.1, 0.9, size=PIECES - 1))
        slopes = 3.0 * (-1.0) ** np.arange(PIECES) + rng.uniform(-1, 1, size=PIECES)
        f = polygonal_line(x, corners, slopes, start=1.0)
        line = 1.0 + slopes[0] * x
        bends = np.diff(slopes)
        second = np.abs(bends) * (x[:, None] - corners)
        z = torch.from_numpy(np.stack([np.zeros_like(second), second], axis=-1))
        hinges = maxout(z.flatten(1), n_pieces=2).numpy()
        best = np.polyval(np.polyfit(x, f, 1), x)
        of_two.append(np.abs(line + hinges @ np.sign(bends) - f).max() / np.ptp(f))
        of_one.append(np.abs(best - f).max() / np.ptp(f))
    return Evidence(
        expected=0.0,
        measured=float(max(of_two)),
        tolerance=1e-12,
        value_in_source=float(max(of_one)),
    )
