"""Where a discriminator is sure, only the non-saturating generator still has a slope.

    d log(1 - D) / dl = -D,   d(-log D) / dl = -(1 - D),   D = sigmoid(l)

l are the log-odds that D gives to what the generator made. Measured is the largest gap
of the slopes of the family's two losses to these, for l from -10 to 10. At l = -10,
made things being told for certain, the first is 4.5e-5 and the second 1.

Source: Deep learning cheat sheet, section 19.4, improved objective of the generator.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.families.generative._adversarial import generator_loss
from ftml.plots import new_figure

ODDS = torch.linspace(-10, 10, 81, dtype=torch.float64)
OBJECTIVES = ("minimax", "non_saturating")


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a slope; nothing is drawn."""
    D = torch.sigmoid(ODDS).numpy()
    gaps = [
        np.abs(slopes(objective) - expected).max()
        for objective, expected in zip(OBJECTIVES, (-D, D - 1), strict=True)
    ]
    return Evidence(
        expected=0.0, measured=float(max(gaps)), tolerance=1e-12, figure=both
    )


def slopes(objective: str) -> np.ndarray:
    """Return the slope of the loss of each single l, (81,)."""
    odds = ODDS.clone().requires_grad_()
    losses = torch.stack([generator_loss(each[None], objective) for each in odds])
    found: np.ndarray = torch.autograd.grad(losses.sum(), odds)[0].numpy()
    return found


def both() -> Figure:
    """Draw how steep both losses are over what the discriminator says."""
    figure, axes = new_figure()
    D = torch.sigmoid(ODDS).numpy()
    names = ("minimax: log(1 - D)", "non-saturating: -log D")
    for objective, name in zip(OBJECTIVES, names, strict=True):
        axes.plot(D, -slopes(objective), label=name)
    axes.set(xlabel="D(G(z)): how real what was made is told to be")
    axes.set(ylabel="size of the slope in the log-odds")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
