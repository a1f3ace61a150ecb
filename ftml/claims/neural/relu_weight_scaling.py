"""A factor may move from a layer of ReLUs to the one above it, and nothing changes.

    (a w x + a b)_+ = a (w x + b)_+  for a > 0

So weights of one function lie on a curve, along which a penalty |w_1|^2 + |w_2|^2 is
least where both layers have one norm (biases not penalised). The measured value is the
largest relative gap of outputs for factors from 1/100 to 100, of each unit its own;
with tanh in place of ReLU it is of order 1 (in the table).

Source: Exam solutions, "Exercise (2022)", (2.1) and (2.3); Deep learning cheat sheet,
section 10.5.
"""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.mlp import MLP
from ftml.nn.penalties import l2
from ftml.plots import COLOURS, new_figure


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of outputs when factors move up."""
    gaps = {name: gap(name, seed) for name in ("relu", "tanh")}
    table = pd.DataFrame(gaps.items(), columns=["activation", "relative gap"])
    return Evidence(
        expected=0.0,
        measured=gaps["relu"],
        tolerance=1e-12,
        table=table,
        figure=lambda: penalties(seed),
    )


def network(activation: str, seed: int) -> tuple[MLP, torch.Generator]:
    """Return a random network of two layers, and its generator."""
    generator = torch.Generator().manual_seed(seed)
    net = MLP((5, 16, 3), activation=activation, generator=generator)
    return net.double(), generator


def move(net: MLP, factor: torch.Tensor) -> None:
    """Multiply the units' incoming weights and biases, divide their outgoing ones."""
    W, b, V, _ = net.parameters()
    W.mul_(factor[:, None])
    b.mul_(factor)
    V.div_(factor)


def gap(activation: str, seed: int) -> float:
    """Return the largest gap of outputs, relative to the largest output."""
    net, generator = network(activation, seed)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    before = net(x)
    move(net, 10 ** (4 * torch.rand(16, generator=generator) - 2).double())
    return float((net(x) - before).abs().max() / before.abs().max())


@torch.no_grad()
def penalties(seed: int) -> Figure:
    """Plot the penalty along the curve of networks that are one function."""
    net, _ = network("relu", seed)
    W, _, V, _ = (each.clone() for each in net.parameters())
    factors = torch.logspace(-1, 1, 101)
    found = [float(l2([a * W, V / a], 1.0)) for a in factors]
    figure, axes = new_figure()
    axes.plot(factors.numpy(), found)
    least = float((V.norm() / W.norm()).sqrt())
    axes.axvline(least, color=COLOURS[1], linestyle="--", label="both norms alike")
    axes.set(xscale="log", yscale="log", xlabel="factor a moved to the first layer")
    axes.set(ylabel="penalty of one and the same function")
    axes.legend()
    return figure
