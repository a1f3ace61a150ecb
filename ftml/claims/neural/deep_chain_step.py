"""A step of all layers at once changes a deep linear chain by terms of every order.

    prod_l (w_l - eta g_l)
        = sum_S (-eta)^(L - |S|) prod_{l in S} w_l prod_{l not in S} g_l

g_l is the gradient of a loss that sees y = w_1 ... w_L x alone. Gradient descent
assumes the first order only. The measured value is the relative gap between the sum
over all 2^8 subsets and the chain after the step; the table has what the orders are at
a rate of 0.1: why layers should be normalised.

Source: Deep learning cheat sheet, section 14.10.1, batch normalization.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.by_hand import linear_chain_after_step
from ftml.plots import COLOURS, new_figure

L, RATE, TARGET = 8, 0.1, 3.0


def check(seed: int, budget: Budget) -> Evidence:
    """Return the relative gap of the expansion."""
    w = torch.from_numpy(np.random.default_rng(seed).uniform(0.8, 1.2, size=L))
    w.requires_grad_()
    (g,) = torch.autograd.grad((w.prod() - TARGET) ** 2, w)
    w = w.detach()
    after = float((w - RATE * g).prod())
    found = float(linear_chain_after_step(w, g, rate=RATE))
    # The polynomial in the rate through the roots w_l / g_l has the orders.
    orders = np.poly1d(1.0)
    for weight, gradient in zip(w.tolist(), g.tolist(), strict=True):
        orders = orders * np.poly1d([-gradient, weight])
    terms = orders.coeffs[::-1] * RATE ** np.arange(L + 1)
    return Evidence(
        expected=0.0,
        measured=abs(found - after) / abs(after),
        tolerance=1e-12,
        table=pd.DataFrame({"order": range(L + 1), "change of y / x": terms}),
        figure=lambda: orders_of(terms),
    )


def orders_of(terms: np.ndarray) -> Figure:
    """Plot what each order of the step adds to the chain."""
    figure, axes = new_figure()
    colours = [COLOURS[0], COLOURS[1], *[COLOURS[5]] * (L - 1)]
    axes.bar(range(L + 1), terms, color=colours)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel="order in the learning rate: 0 is before, 1 what descent counts on")
    axes.set(ylabel="what it adds to y / x")
    return figure
