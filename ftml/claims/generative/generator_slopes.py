"""Where a discriminator is certain, only the non-saturating generator has a gradient.

    d log(1 - D) / dl = -D,   d(-log D) / dl = -(1 - D),   D = sigmoid(l)

l are the log-odds that D gives to a generated sample. The measured value is the largest
gap of the gradients of the family's two losses to these, for l from -10 to 10. At l =
-10, where the discriminator is certain that a sample is generated, the first is 4.5e-5
and the second 1.

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
    """Return the largest gap of a gradient; nothing is random."""
    D = torch.sigmoid(ODDS).numpy()
    gaps = [
        np.abs(gradients(objective) - expected).max()
        for objective, expected in zip(OBJECTIVES, (-D, D - 1), strict=True)
    ]
    return Evidence(
        expected=0.0, measured=float(max(gaps)), tolerance=1e-12, figure=both
    )


def gradients(objective: str) -> np.ndarray:
    """Return the gradient of the loss of each single l, (81,)."""
    odds = ODDS.clone().requires_grad_()
    losses = torch.stack([generator_loss(each[None], objective) for each in odds])
    found: np.ndarray = torch.autograd.grad(losses.sum(), odds)[0].numpy()
    return found


def both() -> Figure:
    """Plot the gradients of both losses over the output of the discriminator."""
    figure, axes = new_figure()
    D = torch.sigmoid(ODDS).numpy()
    names = ("minimax: log(1 - D)", "non-saturating: -log D")
    for objective, name in zip(OBJECTIVES, names, strict=True):
        axes.plot(D, -gradients(objective), label=name)
    axes.set(xlabel="D(G(z)): predicted probability of real data")
    axes.set(ylabel="size of the gradient in the log-odds")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
