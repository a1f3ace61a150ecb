"""A convolution is a matrix whose rows are the shifted filter with zeros between.

    z = W x:   3 x 3 image, 2 x 2 filter (1, 2, 3, 4), stride 1: z = (37, 47, 67, 77)
               4 x 4 image, stride 2: z = (44, 64, 124, 144)

for pixels 1, 2, 3, ... In the notes the rows lost zeros (mistake 8): those of stride 1
have 8, 9, 11 and 12 entries for 9 pixels, those of stride 2 have 8 for 16, so that the
last two are as the first two. The measured value is the largest gap of the product to
scipy's correlation over both strides; the value in the source is that of stride 2,
zeros put behind.

Source: Exam solutions, "Convolutional NN (2021)", (2) and (6.1); Deep learning cheat
sheet, section 13.3.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.signal import correlate2d

from ftml.evidence import Budget, Evidence
from ftml.nn.convolution import toeplitz_matrix
from ftml.plots import new_figure

MISTAKES = (8,)

FILTER = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of an output, and the value in the source; nothing is
    random.
    """
    gaps = []
    for side, stride in ((3, 1), (4, 2)):
        x = np.arange(1.0, side**2 + 1).reshape(side, side)
        expected = correlate2d(x, FILTER, mode="valid")[::stride, ::stride].ravel()
        W = toeplitz_matrix(FILTER, (side, side), stride=stride).numpy()
        gaps.append(np.abs(W @ x.ravel() - expected).max())
    w1, w2, w3, w4 = FILTER.flatten().tolist()
    first = [w1, w2, 0, 0, w3, w4, 0, 0]
    second = [0, 0, w1, w2, 0, 0, w3, w4]
    printed = np.array([first, second, first, second]) @ x.ravel()[:8]
    return Evidence(
        expected=0.0,
        measured=float(max(gaps)),
        tolerance=1e-12,
        value_in_source=float(np.abs(printed - expected).max()),
        figure=matrices,
    )


def matrices() -> Figure:
    """Plot the matrix of stride 2."""
    figure, axes = new_figure(6.4, 2.4)
    axes.grid(False)
    W = toeplitz_matrix(FILTER, (4, 4), stride=2).numpy()
    axes.imshow(W, cmap="Blues", vmin=0, vmax=6)
    for i, j in zip(*np.nonzero(W), strict=True):
        axes.text(j, i, f"w{W[i, j]:.0f}", ha="center", va="center")
    axes.set_xticks(range(16), [str(j) for j in range(1, 17)])
    axes.set_yticks(range(4), [f"z{i}" for i in range(1, 5)])
    axes.set(xlabel="pixel of the 4 x 4 image, row by row")
    return figure
