"""A deep ReLU net can have more linear pieces than the bound printed as an upper one.

For one input and L layers of m units (m/n)^((L-1)n) m^n is m^L. The notes say that a
net has at most a number of pieces of this order; it is what some net has at least
(mistake 24). Three units make the zigzag

    s(x) = 8 - 10 (0.8 - x)_+ - 12 (x - 0.1)_+ + 7 (x - 0.6)_+

that maps each of four pieces onto [0, 1], so that L layers have 4^L: (4/3)^L times m^L,
which is not bounded by a constant. The measured value is the L-th root of the number of
pieces at L = 6; one layer with as many units has 3 L + 1.

Source: Deep learning cheat sheet, section 10.5.3, Montufar et al. 2014; that m + 1 is
the most for one input: Serra et al. 2018, "Bounding and counting linear regions".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.activations import region_bound
from ftml.nn.mlp import MLP
from ftml.plots import COLOURS, new_figure

MISTAKES = (24,)

UNITS, DEEPEST = 3, 6
INTO = torch.tensor([[-1.0], [1.0], [1.0]]), torch.tensor([0.8, -0.1, -0.6])
OUT = torch.tensor([[-10.0, -12.0, 7.0]]), torch.tensor([8.0])
CORNERS = np.array([0.0, 0.1, 0.6, 0.8, 1.0])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the factor by which a layer multiplies the pieces; nothing is random."""
    depths = range(1, DEEPEST + 1)
    rows = [(L, count_pieces(L), UNITS**L, region_bound(UNITS * L, 1)) for L in depths]
    columns = ["layers", "pieces", "most in the notes", "one layer of as many units"]
    table = pd.DataFrame(rows, columns=columns)
    last = table.iloc[-1]
    return Evidence(
        expected=float(UNITS + 1),
        measured=float(last["pieces"] ** (1 / DEEPEST)),
        tolerance=1e-9,
        value_in_source=float(last["most in the notes"] ** (1 / DEEPEST)),
        table=table,
        figure=zigzag,
    )


def network(L: int) -> MLP:
    """Return the composition of L zigzags: the output of one is the input of
    the next.
    """
    net = MLP((1, *[UNITS] * L, 1), generator=torch.Generator()).double()
    (W, b), (V, c) = INTO, OUT
    weights = [W, *[W @ V] * (L - 1), V]
    biases = [b, *[W @ c + b] * (L - 1), c]
    interleaved = [each for pair in zip(weights, biases, strict=True) for each in pair]
    with torch.no_grad():
        for own, new in zip(net.layers.parameters(), interleaved, strict=True):
            own.copy_(new)
    return net


def corners(L: int) -> np.ndarray:
    """Return the corners of L zigzags, and the ends of [0, 1], increasing."""
    found = np.array([0.0, 1.0])
    for _ in range(L):
        # In every second piece the zigzag decreases, so its corners are in reverse
        # order.
        turned = [found, 1 - found] * (len(CORNERS) // 2)
        pieces = zip(CORNERS, np.diff(CORNERS), turned, strict=False)
        inside = [start + length * each for start, length, each in pieces]
        found = np.unique(np.concatenate(inside).round(13))
    return found


@torch.no_grad()
def count_pieces(L: int) -> int:
    """Return the number of alternating increases and decreases between the corners."""
    y = network(L)(torch.from_numpy(corners(L))[:, None])[:, 0].numpy()
    steps = np.diff(y)
    return 1 + int((steps[1:] * steps[:-1] < 0).sum())


@torch.no_grad()
def zigzag() -> Figure:
    """Plot the nets of one, two and three layers."""
    figure, axes = new_figure(7.0, 3.6)
    for L, width in ((3, 0.9), (2, 1.4), (1, 2.2)):
        x = np.unique(np.concatenate([corners(L), CORNERS]))
        y = network(L)(torch.from_numpy(x)[:, None])[:, 0].numpy()
        label = f"{L} layer{'s' * (L > 1)}: {count_pieces(L)} pieces"
        axes.plot(x, y, linewidth=width, color=COLOURS[L - 1], label=label)
    axes.set(xlabel="input x", ylabel="output of the net", ylim=(-0.02, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    return figure
