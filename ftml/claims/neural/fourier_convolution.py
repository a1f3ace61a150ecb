"""A convolution is a product of spectra: by FFT it is the same, in n log n steps.

    x * w = F^-1 (F x  conj(F w)),  where nothing wraps around

The filter is not rotated, hence the conjugate. The measured value is the largest gap to
the direct sum, relative to |x| |w|, over filters from 1 x 1 to as large as the image.

Source: Deep learning cheat sheet, section 13.7, efficient computation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ftml.evidence import Budget, Evidence
from ftml.nn.convolution import fft_convolution


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of an output."""
    generator = torch.Generator().manual_seed(seed)
    gaps = []
    for p, q in ((1, 1), (3, 3), (5, 2), (17, 20)):
        x = torch.randn(17, 20, generator=generator, dtype=torch.float64)
        w = torch.randn(p, q, generator=generator, dtype=torch.float64)
        direct = F.conv2d(x[None, None], w[None, None])[0, 0]
        away = (fft_convolution(x, w) - direct).abs().max()
        gaps.append(away / w.norm() / x.norm())
    return Evidence(
        expected=0.0, measured=float(torch.stack(gaps).max()), tolerance=1e-14
    )
