"""The variance of a mixture is that within its components and that of their means.

    E[y | x] = sum_k pi_k g_k,   Var[y | x] = sum_k pi_k (v_k + (g_k - E[y | x])^2)

Five inputs go through a random mixture density network of three components; for each y
is sampled from the network's distribution. A sample is the mean over the inputs of (y -
E[y | x])^2 / Var[y | x], whose expectation is 1. It is compared within its standard
errors. What the variance within the components alone would give is in the table.

Source: Exam solutions, "NN & conditional density mixture", (3).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.data.standardize import Scaling
from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.families.neural.mixture_density import Model
from ftml.nn.mixture import log_components
from ftml.nn.mlp import MLP
from ftml.plots import COLOURS, new_figure

X = np.linspace(-2.0, 2.0, 5)[:, None]


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean squared distance from the mean, in units of the variance."""
    model = random_model(seed)
    mean, variance = model.predict(X), model.variance(X)
    share, _, log_variance = (each.numpy() for each in model.mixture(X))
    within = np.sum(np.exp(share + log_variance), axis=1)

    def squares(rng: np.random.Generator, n: int) -> np.ndarray:
        y = model.sample(np.tile(X, (n, 1)), rng).reshape(n, len(X))
        return np.mean((y - mean) ** 2 / variance, axis=1)

    draws = budget.draw(squares, seed=seed, n=20_000)
    columns = {"x": X[:, 0], "variance": variance, "within the components": within}
    return evidence_of_mean(
        draws,
        expected=1.0,
        table=pd.DataFrame(columns),
        figure=lambda: density(model),
    )


def random_model(seed: int) -> Model:
    """Return a network with large weights: distributions with several modes."""
    generator = torch.Generator().manual_seed(seed)
    options = {"sizes": (1, 8, 9), "activation": "tanh"}
    net = MLP((1, 8, 9), activation="tanh", generator=generator)
    weights = {name: 2.0 * each for name, each in net.state_dict().items()}
    scaling = Scaling(np.zeros(1), np.zeros(1), np.ones(1))
    return Model(options, weights, scaling, centre=0.0, scale=1.0)


def density(model: Model) -> Figure:
    """Plot the distribution of y at the first input, its mean and one standard
    deviation around it.
    """
    mean, deviation = float(model.predict(X)[0]), float(model.variance(X)[0]) ** 0.5
    y = np.linspace(mean - 4 * deviation, mean + 4 * deviation, 400)
    figure, axes = new_figure()
    whole = np.exp(model.log_density(np.repeat(X[:1], 400, axis=0), y))
    axes.plot(y, whole, label="density")
    mixture = model.mixture(np.repeat(X[:1], 400, axis=0))
    parts = log_components(mixture, torch.from_numpy(y)).exp().numpy()
    axes.plot(y, parts, color=COLOURS[5], linewidth=0.9)
    axes.axvline(mean, color=COLOURS[1], label="mean")
    for side in (-1, 1):
        axes.axvline(mean + side * deviation, color=COLOURS[1], linestyle=":")
    axes.plot([], [], color=COLOURS[1], linestyle=":", label="± a standard deviation")
    axes.plot([], [], color=COLOURS[5], label="components")
    axes.set(xlabel="y", ylabel=f"density of y given x = {X[0, 0]:g}")
    figure.legend(loc="outside upper center", ncols=4)
    return figure
