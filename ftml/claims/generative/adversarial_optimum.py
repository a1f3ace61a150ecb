"""The best discriminator is p / (p + q), and its value -log 4 + 2 JSD(p, q).

    V = E_p log D(x) + E_z log(1 - D(G(z))),   D* = p_data / (p_data + p_G)

Two distributions over five symbols, of which 40 samples each have exactly these
frequencies; the log-odds of every symbol are found by BFGS on the family's loss, -V /
2. The expected value is the formula, the measured value the V that is reached. The
notes sample x in the discriminator's risk from the distribution of the noise (mistake
47): in the printed version p is a third distribution.

Source: Deep learning cheat sheet, section 19.4, generative adversarial networks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon
from scipy.special import expit

from ftml.evidence import Budget, Evidence
from ftml.families.generative._adversarial import discriminator_loss
from ftml.plots import COLOURS, new_figure

MISTAKES = (47,)

DATA = np.array([20, 10, 6, 3, 1])
MADE = np.array([2, 6, 8, 14, 10])
NOISE = np.array([8, 8, 8, 8, 8])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the value at the best discriminator, and the value in the source; nothing
    is random.
    """
    divergence = jensenshannon(DATA, MADE) ** 2
    value, D = best(DATA, MADE)
    theory = DATA / (DATA + MADE)
    return Evidence(
        expected=float(-np.log(4) + 2 * divergence),
        measured=value,
        tolerance=1e-10,
        value_in_source=best(NOISE, MADE)[0],
        table=pd.DataFrame({"D found": D, "p / (p + q)": theory}),
        figure=lambda: distributions(D),
    )


def best(real: np.ndarray, made: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the largest V, and D of each symbol there; of counts of the symbols."""
    rows = [
        torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        for counts in (real, made)
    ]

    def loss_and_slope(odds: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = torch.from_numpy(odds).requires_grad_()
        loss = discriminator_loss(log_odds[rows[0]], log_odds[rows[1]])
        (gradient,) = torch.autograd.grad(loss, log_odds)
        return loss.item(), gradient.numpy()

    start = np.zeros(len(real))
    found = minimize(loss_and_slope, start, jac=True, options={"gtol": 1e-12})
    return -2 * float(found.fun), expit(found.x)


def distributions(D: np.ndarray) -> Figure:
    """Plot both distributions, and the output of the best discriminator for each
    symbol.
    """
    place = np.arange(len(D))
    figure, axes = new_figure()
    for side, counts, name in ((-0.2, DATA, "data p"), (0.2, MADE, "made q")):
        axes.bar(place + side, counts / counts.sum(), width=0.4, label=name)
    axes.plot(place, D, color="black", marker="o", label="D found")
    axes.plot(place, DATA / (DATA + MADE), "x", color=COLOURS[2], label="p / (p + q)")
    axes.set_xticks(place, [f"x{i + 1}" for i in place])
    axes.set(xlabel="symbol", ylabel="probability", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=4)
    return figure
