"""A transposed convolution dilates and pads its input and rotates the filter.

    W' z = (Z with stride - 1 zeros put between, p - 1 around) * (w turned by 180 deg)

With stride 2 and a 2 x 2 filter a 2 x 2 image becomes 4 x 4: the Kronecker product of
image and filter, ((1, 2, 2, 4), (3, 4, 6, 8), (3, 6, 4, 8), (9, 12, 12, 16)) for both
(1, 2, 3, 4). The notes pad alone and do not rotate the filter (mistake 9), which makes
3 x 3. The measured value is the largest gap to W' z over strides 1 to 3 and random
images; the value in the source is that of stride 2 where the two overlap.

Source: Exam solutions, "Convolutional NN (2021)", (3), (5) and (6.2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.convolution import toeplitz_matrix, transposed_convolution

MISTAKES = (9,)

SMALL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap to the transposed matrix, and the value in the source."""
    generator = torch.Generator().manual_seed(seed)
    gaps = [gap(SMALL, SMALL, stride=2)]
    for stride in (1, 2, 3):
        z = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        w = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        gaps.append(gap(z, w, stride=stride))
    printed = F.conv2d(F.pad(SMALL, (1, 1, 1, 1))[None, None], SMALL[None, None])[0, 0]
    kronecker = torch.kron(SMALL, SMALL)
    gaps.append(
        (transposed_convolution(SMALL, SMALL, stride=2) - kronecker).abs().max()
    )
    return Evidence(
        expected=0.0,
        measured=float(torch.stack(gaps).max()),
        tolerance=1e-12,
        value_in_source=float((printed - kronecker[:3, :3]).abs().max()),
    )


def gap(z: Tensor, w: Tensor, *, stride: int) -> Tensor:
    """Return the largest gap between the convolution and the transposed matrix."""
    found = transposed_convolution(z, w, stride=stride)
    W = toeplitz_matrix(w, (found.shape[0], found.shape[1]), stride=stride)
    return (found.flatten() - W.T @ z.flatten()).abs().max()
