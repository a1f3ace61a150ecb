"""Weights of variance 2 / inputs keep the size of what goes through layers of ReLUs.

    E|h_L|^2 = |h_0|^2,   h_l = (W_l h_(l-1))_+,   Var W_ij = 2 / n

for layers of n units without biases: the ReLU sets half of each W_l h to zero, which
the factor 2 compensates. A sample is |h_5|^2 / |h_0|^2 of a network of five layers with
64 units that starts as the family's image networks do; the mean of 400 is compared with
1 within its standard errors. Started as an MLP, uniform in +- 1 / sqrt(n), of variance
1 / (3 n), a layer keeps a sixth (in the figure).

Source: Deep learning cheat sheet, section 14.10.2, other heuristics; He et al. 2015,
"Delving deep into rectifiers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ftml.evidence import Budget, Evidence, evidence_of_mean
from ftml.nn import image_networks
from ftml.nn.mlp import MLP
from ftml.plots import new_figure

UNITS, LAYERS = 64, 5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean ratio of the sizes after and before five layers."""

    def ratios(rng: np.random.Generator, n: int) -> np.ndarray:
        seeds = rng.integers(2**62, size=n).tolist()
        return np.array([sizes(as_image_network, each)[-1] for each in seeds])

    draws = budget.draw(ratios, seed=seed, n=400)
    return evidence_of_mean(draws, expected=1.0, figure=lambda: through(seed))


def as_image_network(generator: torch.Generator) -> Sequence[Tensor]:
    """Return the weights that image networks start with."""
    layers = [nn.Linear(UNITS, UNITS, device="meta") for _ in range(LAYERS)]
    network = nn.Sequential(*layers)
    image_networks._start(network, generator)
    return [each for each in network.parameters() if each.ndim == 2]


def as_mlp(generator: torch.Generator) -> Sequence[Tensor]:
    """Return the weights that an MLP starts with."""
    network = MLP((UNITS,) * (LAYERS + 1), generator=generator)
    return [each for each in network.parameters() if each.ndim == 2]


@torch.no_grad()
def sizes(
    start: Callable[[torch.Generator], Sequence[Tensor]], seed: int
) -> np.ndarray:
    """Return |h_l|^2 / |h_0|^2 after each layer, (LAYERS,)."""
    generator = torch.Generator().manual_seed(seed)
    weights = start(generator)
    h = torch.randn(UNITS, generator=generator)
    first, found = float(h.square().sum()), []
    for W in weights:
        h = torch.relu(W @ h)
        found.append(float(h.square().sum()) / first)
    return np.array(found)


def through(seed: int) -> Figure:
    """Plot the mean size after each layer, of 100 networks of both kinds."""
    figure, axes = new_figure()
    starts = {
        "variance 2 / n": as_image_network,
        "uniform in ± 1 / sqrt(n)": as_mlp,
    }
    for name, start in starts.items():
        mean = np.mean([sizes(start, seed + i) for i in range(100)], axis=0)
        axes.plot(range(1, LAYERS + 1), mean, marker="o", label=name)
    axes.set_xticks(range(1, LAYERS + 1))
    axes.set(yscale="log", xlabel="layer", ylabel="mean |h|² / |input|²")
    axes.legend()
    return figure
