"""Along an LSTM's memory a gradient shrinks by the forget gates alone.

    c_t = f_t c_{t-1} + i_t g_t:   dc_T / dc_t = prod_{s > t} f_s,  h held

With U = 0 the gates see the inputs only, so that the memory is the only path for
gradients. Biases of -2 to 6 in the forget gate. The measured value is the gradient of
the last output in the input candidate g at each of twenty times, divided by what the
formula says: its value farthest from 1.

Source: Deep learning cheat sheet, section 15.3; Homework 4 answers, "Problem 1".
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.bptt import lstm_gradients
from ftml.plots import COLOURS, new_figure

T = 20
BIASES = (-2.0, 0.0, 2.0, 6.0)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest departure of a gradient from the product of gates."""
    ratios = np.concatenate([np.divide(*gradients(seed, bias)) for bias in BIASES])
    return Evidence(
        expected=1.0,
        measured=float(ratios[np.abs(ratios - 1).argmax()]),
        tolerance=1e-9,
        figure=lambda: paths(seed),
    )


def gradients(seed: int, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient in the input at each time, (T,), and the formula's.

    One unit, one input, which only the candidate g sees.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, T, 1, generator=generator, dtype=torch.float64)
    W = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=torch.float64)
    b = torch.tensor([0.0, bias, 0.0, 0.0], dtype=torch.float64)
    into = torch.zeros(1, T, 1, dtype=torch.float64)
    into[0, -1] = 1.0
    found = lstm_gradients(x, into, W, torch.zeros(4, 1, dtype=torch.float64), b)
    f, half = 1 / (1 + np.exp(-bias)), 0.5  # of the input and the output gate
    g = np.tanh(x[0, :, 0].numpy())
    c = 0.0
    for each in g:
        c = f * c + half * each
    kept = f ** np.arange(T)[::-1]
    expected = half * (1 - np.tanh(c) ** 2) * kept * half * (1 - g**2)
    return found.x[0, :, 0].numpy(), expected


def paths(seed: int) -> Figure:
    """Plot the gradient over the steps back for each bias of the forget gate."""
    figure, axes = new_figure()
    back = np.arange(T)[::-1]
    for bias, colour in zip(BIASES, COLOURS, strict=False):
        f = 1 / (1 + np.exp(-bias))
        found, _ = gradients(seed, bias)
        axes.plot(back, np.abs(found), color=colour, label=f"forget gate {f:.2f}")
    axes.set(yscale="log", xlabel="steps back in time")
    axes.set(ylabel="|gradient of the last output in an input|")
    axes.set_xticks(range(0, T, 5))
    figure.legend(loc="outside upper center", ncols=2)
    return figure
