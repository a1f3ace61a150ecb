"""Backwards in time gradients shrink or grow with each step: a product of Jacobians.

    dR/dh_t = U' D_{t+1} U' D_{t+2} ... U' D_T dR/dh_T

With U = rho Q, Q a rotation, and units that are not squashed (D = I, for inputs of 0)
each step multiplies the gradient's length by rho: it vanishes or explodes. The measured
value is that factor for rho = 0.8 over 40 steps, by its largest departure from rho
among 0.8, 1 and 1.2. The figure adds random inputs, which squash and so shrink it
further.

Source: Deep learning cheat sheet, section 15.3; Homework 4 answers, "Problem 2".
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.bptt import rnn_gradients
from ftml.plots import COLOURS, new_figure

T, UNITS = 40, 6
RHOS = (0.8, 1.0, 1.2)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the factor of a step at rho = 0.8, by the worst ratio to any rho."""
    ratios = []
    for rho in RHOS:
        sizes = lengths(rho, seed, deviation=0.0)
        ratios += list(sizes[:-1] / sizes[1:] / rho)
    worst = max(ratios, key=lambda r: abs(r - 1))
    return Evidence(
        expected=RHOS[0],
        measured=float(RHOS[0] * worst),
        tolerance=1e-12,
        figure=lambda: decay(seed),
    )


def drawn(seed: int, deviation: float) -> tuple[torch.Tensor, ...]:
    """Return inputs (1, T, 2), gradients at the last time, W and a rotation."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    Q = torch.linalg.qr(normal(UNITS, UNITS))[0]
    W, x = normal(UNITS, 2), deviation * normal(1, T, 2)
    into = torch.zeros(1, T, UNITS, dtype=torch.float64)
    into[0, -1] = 1.0
    return x, into, W, Q


def lengths(rho: float, seed: int, *, deviation: float) -> np.ndarray:
    """Return the length of dR/dh_t at each time, (T,)."""
    x, into, W, Q = drawn(seed, deviation)
    gradients = rnn_gradients(
        x, into, W, rho * Q, torch.zeros(UNITS, dtype=torch.float64)
    )
    found: np.ndarray = gradients.h[0].norm(dim=1).numpy()
    return found


def decay(seed: int) -> Figure:
    """Plot the length of the gradient over the steps back, without and with inputs."""
    back = np.arange(T)[::-1]
    figure, axes = new_figure(6.4, 4.6)
    for j, rho in enumerate(RHOS):
        for deviation, line in ((0.0, "-"), (1.0, ":")):
            sizes = lengths(rho, seed, deviation=deviation)
            label = f"rho = {rho:g}" if not deviation else None
            axes.plot(back, sizes / sizes[-1], line, color=COLOURS[j], label=label)
    axes.plot([], [], ":", color="grey", label="with inputs that squash")
    axes.set(yscale="log", xlabel="steps back in time", ylim=(1e-14, 1e5))
    axes.set(ylabel="length of dR/dh, last time = 1")
    figure.legend(loc="outside upper center", ncols=4)
    return figure
