"""Soft weight sharing: a prior that pulls the weights to few centres.

    minimise mean cross-entropy + (strength / n) R(w),
    R(w) = -sum_i ln sum_k pi_k N(w_i; mu_k, v_k)

The mixture is learnt with the network. Training begins without it, for `warm_up`
epochs; then the components are spread over the weights and pull them together. At the
end every weight may be replaced by the mean of its most probable component
(`quantised`): the saved network holds one byte a weight and the K means, and
`bits_per_weight` is the size of a weight after coding.

Source: Exam solutions, "Exercise (2022)", 3 (its derivative in sigma is corrected:
mistake 7); Nowlan and Hinton 1992, "Simplifying neural networks by soft
weight-sharing".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ftml.config import LogUniform
from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.data.standardize import Scaling
from ftml.families.neural import _model
from ftml.families.neural._config import ClassifierConfig
from ftml.families.neural._problem import classification
from ftml.nn import soft_sharing
from ftml.nn.activations import Activation
from ftml.nn.inputs import Inputs, n_inputs
from ftml.plots import COLOURS, new_figure
from ftml.training import Problem, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "classification"
DATA = (Table, Images)


class Config(ClassifierConfig):
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each hidden layer"

    activation: Activation = "relu"
    "of the hidden units"

    n_components: Annotated[int, Field(ge=1, le=256)] = 16
    "Gaussians K of the prior, and values that a quantised weight can have"

    strength: Annotated[float, Field(ge=0), LogUniform(1e-2, 1.0)] = 0.1
    "weight of -ln p(w) / n in the loss; 1 is the maximum a posteriori"

    warm_up: Annotated[int, Field(ge=0)] = 15
    "epochs without the prior"

    n_epochs: Annotated[int, Field(ge=1)] = 45
    "passes over the rows, those without the prior among them"

    l2: Annotated[float, Field(ge=0)] = 0.0
    "penalty l2 / 2 sum w^2 beside the mixture's"

    quantised: bool = False
    "put each weight in its centre when the network predicts"


@dataclass(frozen=True)
class Model:
    options: dict[str, object]
    "what the network is made with"

    weights: dict[str, Tensor]
    "float32: biases and the mixture, and unless quantised the weights"

    codes: dict[str, Tensor]
    "the component of each weight, uint8, where quantised"

    before: Tensor
    "(w,), the weights that the mixture was begun from; empty where quantised"

    shape: tuple[int, ...]
    "of one sample: (d,), or (C, H, W) of images"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features; None for images"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64."""
        return self.network().predict_proba(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        return self.network().predict(X)

    def network(self) -> _model.Model:
        """Return the perceptron alone, each code in it replaced by its centre."""
        means = self.weights["means"]
        whole = self.weights | {
            name: means[each.long()] for name, each in self.codes.items()
        }
        own = {
            name.removeprefix("mlp."): each
            for name, each in whole.items()
            if name.startswith("mlp.")
        }
        options = {name: self.options[name] for name in ("sizes", "activation")}
        return _model.Model("mlp", options, own, self.shape, self.scaling)

    @property
    def bits_per_weight(self) -> float:
        """32, or the entropy of the codes: what a coder needs for each."""
        if not self.codes:
            return 32.0
        found = torch.cat([each.flatten() for each in self.codes.values()]).long()
        share = found.bincount().double() / len(found)
        share = share[share > 0]
        return float(-(share * share.log2()).sum())


def make_model(
    network: str,
    options: Mapping[str, object],
    inputs: Inputs,
    weights: dict[str, Tensor],
    *,
    quantised: bool,
) -> Model:
    """Return the model of a network's weights.

    They are in their centres where `quantised`, once the mixture has begun.
    """
    kept = {name: each for name, each in weights.items() if name != "before"}
    before, found = weights["before"], dict[str, Tensor]()
    if quantised and before.any():
        found = soft_sharing.codes(weights)
        kept = {name: each for name, each in kept.items() if name not in found}
        before = before.new_zeros(0)
    return Model(dict(options), kept, found, before, inputs.shape, inputs.scaling)


def problem_of(config: Config, data: Splits[Images | Table]) -> Problem:
    """Return what is trained: a network and, after `warm_up` epochs, its mixture."""
    share = config.strength / len(data.train)

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "sizes": (n_inputs(inputs), *config.hidden, k),
            "n_components": config.n_components,
            "activation": config.activation,
        }

    def penalty(weights: Mapping[str, Tensor], lead: int, epoch: int) -> Tensor:
        if epoch > config.warm_up:
            return share * soft_sharing.penalty(weights)
        # The mixture waits: it is in torch's graph, with a gradient of 0.
        return 0.0 * torch.stack(soft_sharing.mixture(weights)).sum()

    def begin(weights: Mapping[str, Tensor], epoch: int) -> None:
        if epoch == config.warm_up + 1:
            soft_sharing.begin_mixture(weights)

    model = partial(make_model, quantised=config.quantised)
    problem = classification(config, data, "shared", options, model=model)
    return replace(problem, penalty=penalty, begin=begin)


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    yield from run(config, problem_of(config, data), state)


def figures(
    config: Config, model: Model, data: Splits[Images | Table]
) -> Mapping[str, Figure]:
    """Return the weights before and after sharing, with the mixture's centres.

    None of a quantised network, nor before sharing has begun.
    """
    if not model.before.any():
        return {}
    after = soft_sharing.flat(model.weights).cpu().numpy()
    before = model.before.cpu().numpy()
    ends = np.quantile(np.concatenate([before, after]), [0.001, 0.999])
    bins = np.linspace(ends[0], ends[1], 120).tolist()
    figure, axes = new_figure()
    axes.hist(before, bins=bins, alpha=0.5, label=f"after {config.warm_up} epochs")
    axes.hist(after, bins=bins, alpha=0.7, label="at the end")
    for i, mean in enumerate(model.weights["means"].tolist()):
        label = "centres" if i == 0 else None
        axes.axvline(mean, color=COLOURS[-1], linewidth=0.7, alpha=0.6, label=label)
    axes.set(xlabel="weight", ylabel="number of weights", yscale="log")
    axes.set(xlim=ends, title=f"{math.prod(after.shape)} weights")
    axes.legend(loc="upper right")
    return {"weights_before_and_after": figure}
