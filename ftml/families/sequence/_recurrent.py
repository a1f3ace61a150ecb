"""What the recurrent families share: their configuration, training, and a figure.

Axes: B batch, T time, u units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import Integers
from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.families.sequence._classifier import Model, classification, made, scaled
from ftml.families.sequence._training import TrainingConfig
from ftml.nn.inputs import tensor
from ftml.nn.recurrent import no_state, unrolled
from ftml.nn.sequence_networks import Pooling, RecurrentClassifier
from ftml.plots import new_figure
from ftml.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 64
"Sequences whose gradients a figure shows the mean of."


class RecurrentConfig(TrainingConfig):
    """How a recurrent classifier of sequences is built and trained."""

    n_epochs: Annotated[int, Field(ge=1)] = 40
    "passes over the sequences"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    "probability that an input or a unit is dropped in training"

    units: Annotated[int, Field(ge=1), Integers(16, 128)] = 64
    "units of a layer, in each direction"

    n_layers: Annotated[int, Field(ge=1)] = 1
    "layers, each given the states of the one below"

    embedding: Annotated[int, Field(ge=1)] = 64
    "dimension of a symbol's vector, for sequences of symbols"

    pooling: Pooling = "max"
    "input of the classifier: the last state, or the mean or maximum over time"

    fused: bool = True
    "use torch's loop over time; else the cells written out, which give the same"


def train_recurrent(
    config: RecurrentConfig,
    data: Splits[Sequences],
    state: State | None,
    *,
    cell: str,
    bidirectional: bool = False,
) -> Iterator[Step]:
    """Yield after each epoch of training a recurrent network."""
    options = {
        "cell": cell,
        "embedding": config.embedding if data.train.vocabulary else 0,
        "units": config.units,
        "n_layers": config.n_layers,
        "bidirectional": bidirectional,
        "pooling": config.pooling,
        "dropout": config.dropout,
        "fused": config.fused,
    }
    problem = classification(config, data.train, "recurrent", options)
    yield from run(config, problem, state)


def figures(
    config: RecurrentConfig, model: Model, data: Splits[Sequences]
) -> Mapping[str, Figure]:
    """Return how large the gradient of the loss is at each time of the first layer."""
    from matplotlib.ticker import MaxNLocator

    norms = gradient_by_time(model, data.train)
    figure, axes = new_figure()
    axes.plot(np.arange(len(norms)) - len(norms), norms, marker=".")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(
        xlabel="time, counted from the end of the sequence",
        ylabel="mean norm of the gradient of the loss",
        yscale="log",
    )
    return {"gradient_by_time": figure}


def gradient_by_time(model: Model, block: Sequences) -> np.ndarray:
    """Return the mean norm of dL/dh_t at each t, (T,), for a class that is predicted
    from the last state.

    The gradient at t has passed back through T - t steps. T is the most frequent
    length; the mean is over the first sequences of this length. h_t are the forward
    states of the first layer; layers above it are not used.
    """
    X = scaled(block.X, model.scaling, model.vocabulary)
    T = int(np.bincount(X.lengths).argmax())
    index = np.flatnonzero(X.lengths == T)[:SHOWN]
    found, where = made(model)
    network: Any = found
    x, mask = (tensor(each, where) for each in X.padded(index))
    states = _states(network, network.inputs(x).detach())
    h = states[-1][:, None]
    if len(network.core.directions) > 1:
        h = torch.cat([h, torch.zeros_like(h)], dim=-1)
    logits = network.outputs(h, mask[:, -1:])
    loss = F.cross_entropy(logits, tensor(block.y[index], where), reduction="sum")
    gradients = torch.autograd.grad(loss, states)
    return np.array([each.norm(dim=1).mean().item() for each in gradients])


def _states(network: RecurrentClassifier, x: Tensor) -> list[Tensor]:
    """Return h at each time of the first layer, forwards, to be differentiated by."""
    core = network.core
    weights = [each.detach().requires_grad_() for each in core.weights()]
    start = no_state(core.cell, len(x), weights[1])
    return [state[0] for state in unrolled(core.cell, x, start, weights)]
