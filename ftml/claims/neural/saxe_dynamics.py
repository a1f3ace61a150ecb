"""Two linear layers learn each mode along a sigmoid, the strong modes first.

    u(t) = s / (1 + (s / u_0 - 1) exp(-4 s t))

s is a singular value of E[y x'], u the strength of its mode in the product of the
layers, t the learning rate times the steps. The iris table, x whitened, weights
balanced with u_0 = 0.001. The measured value is the largest gap between gradient
descent and the formula, relative to s; the formula is that of continuous time, from
which steps of a rate of 0.005 depart by a few thousandths in proportion to it (in the
table).

Source: Deep learning cheat sheet, section 14.8; Saxe, McClelland and Ganguli 2014.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.neural import deep_linear
from ftml.plots import COLOURS, new_figure

START = 1e-3
LAST = 14.0
RATES = (0.02, 0.01, 0.005)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap at the smallest step; nothing is random."""
    X, y = load_iris(return_X_y=True)
    table = Table(X, y.astype(np.int64), classes=("a", "b", "c"))
    models = [trained(table, rate) for rate in RATES]
    gaps = [gap(model) for model in models]
    return Evidence(
        expected=0.0,
        measured=gaps[-1],
        tolerance=0.01,
        table=pd.DataFrame({"learning rate": RATES, "largest gap": gaps}),
        figure=lambda: curves(models[-1]),
    )


def trained(table: Table, rate: float) -> deep_linear.Model:
    """Return the network after time LAST."""
    config = deep_linear.Config(
        strength=START,
        learning_rate=rate,
        n_epochs=round(LAST / (rate * deep_linear.STEPS)),
    )
    model: deep_linear.Model = fit(config, table).model
    return model


def closed(model: deep_linear.Model, time: np.ndarray) -> np.ndarray:
    """Return the strengths (T, m) of the theory at the times."""
    s = model.strengths
    return s / (1 + (s / START - 1) * np.exp(-4 * s * time[:, None]))


def gap(model: deep_linear.Model) -> float:
    """Return the largest gap to theory, relative to each mode's strength."""
    away = np.abs(model.modes - closed(model, model.time)) / model.strengths
    return float(away.max())


def curves(model: deep_linear.Model) -> Figure:
    """Plot the strength of each mode over time, and theory."""
    figure, axes = new_figure()
    theory = closed(model, model.time)
    for j, s in enumerate(model.strengths):
        name = f"gradient descent, s = {s:.2f}"
        axes.plot(model.time, model.modes[:, j], color=COLOURS[j], label=name)
        axes.plot(model.time, theory[:, j], color="black", linestyle=":")
    axes.plot([], [], color="black", linestyle=":", label="theory")
    axes.set(xlabel="time: learning rate x steps", ylabel="strength of the mode")
    axes.legend()
    return figure
