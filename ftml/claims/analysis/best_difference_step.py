"""The best step of a central difference is near the cube root of machine precision.

    error(h) ~ |f'''| h^2 / 6 + eps |f| / h,   least at h = (3 eps |f| / |f'''|)^(1/3)

The measured value is the decimal logarithm of the ratio of the best step, on a grid of
20 a decade, to the formula, the median over 21 random lines through the project's loss
of softmax regression. A rounding error may be anything below some eps |f|, and the
valley is flat: half a decade is tolerated. Lines are generated from the seed, and of
210 two were off. If one in twenty lines were off, eleven of 21 would be with
probability 2e-9.

Source: Deep learning cheat sheet, "8 Taylor Approximations" (finite difference method).
"""

from __future__ import annotations

import numpy as np

from ftml.claims.analysis.finite_differences import along_a_direction, errors
from ftml.evidence import Budget, Evidence

STEPS = np.logspace(-8, -1, 141)
LINES = 21


def check(seed: int, budget: Budget) -> Evidence:
    """Return the median logarithm of best step over formula."""
    ratios = []
    for i in range(LINES):
        f, slope = along_a_direction(100 * seed + i)
        h = 0.02
        third = (f(2 * h) - 2 * f(h) + 2 * f(-h) - f(-2 * h)) / (2 * h**3)
        formula = (3 * np.finfo(float).eps * abs(f(0.0)) / abs(third)) ** (1 / 3)
        # Ten steps together: one error alone is small where it happens to change sign.
        error = np.convolve(errors(f, slope, STEPS)["central"], np.ones(10), "same")
        best = STEPS[5 + error[5:-5].argmin()]
        ratios.append(np.log10(best / formula))
    return Evidence(
        expected=0.0, measured=float(np.median(ratios)), tolerance=0.5, chance=2e-9
    )
