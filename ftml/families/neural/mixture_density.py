"""Mixture density network: a distribution of y for each x, not only its mean.

    p(y | x) = sum_k pi_k(x) N(y; g_k(x), v_k(x)),   pi = softmax(a_pi), v = exp(a_v)

The outputs of a perceptron are a_pi, g and a_v, for K components; the loss is the mean
of -ln p(y | x), its gradient that of the notes (`ftml/nn/mixture.py`). One component is
a Gaussian whose mean and variance both depend on x. Features and target are scaled for
training, densities are of the original target.

Source: Exam solutions, "NN & conditional density mixture".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ftml.config import Choice
from ftml.core import State, Step, device
from ftml.data import Splits, Table
from ftml.data.checks import as_float64, check_finite
from ftml.data.standardize import Scaling
from ftml.families.neural._config import TrainingConfig
from ftml.families.neural._model import outputs
from ftml.families.neural._problem import Rows, supervised_problem
from ftml.nn.activations import Activation
from ftml.nn.inputs import inputs_of, n_inputs
from ftml.nn.mixture import (
    Mixture,
    NegativeLogLikelihood,
    cdf_of,
    climbed,
    log_components,
    mean_of,
    mixture_of,
    variance_of,
)
from ftml.nn.network_model import NetworkModel
from ftml.plots import new_figure
from ftml.training import Problem, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "conditional_density"
APART = 1e-3
"Modes that are nearer, in standard deviations of the target, count as one."

LOW = 0.03
"Modes below this fraction of the highest density at their x are not plotted."


class Config(TrainingConfig):
    n_components: Annotated[int, Field(ge=1), Choice(2, 3, 5, 8)] = 5
    "Gaussians K of each density; 1 is a Gaussian whose mean and variance are learnt"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (32,)
    "units of each hidden layer; none makes the parameters linear in x"

    activation: Activation = "tanh"
    "of the hidden units"

    learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    "step size"

    n_epochs: Annotated[int, Field(ge=1)] = 100
    "passes over the rows"


@dataclass(frozen=True)
class Model:
    options: dict[str, Any]
    "what the network, an MLP, is made with"

    weights: dict[str, Tensor]
    "of the network, float32"

    scaling: Scaling | tuple[np.ndarray, ...]
    "of the features"

    centre: float
    "mean of the training targets"

    scale: float
    "their standard deviation"

    network: str = "mlp"

    def mixture(self, X: np.ndarray) -> Mixture:
        """Return the mixture for each row of X (n, d), of the original target.

        log_share, mean, log_variance: (n, K) float64 tensors.
        """
        d = self.options["sizes"][0]
        perceptron = NetworkModel(
            self.network, self.options, self.weights, (d,), self.scaling
        )
        found = mixture_of(outputs(perceptron, X))
        return Mixture(
            found.log_share,
            found.mean * self.scale + self.centre,
            found.log_variance + 2 * math.log(self.scale),
        )

    def log_density(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return ln p(y_i | x_i), (n,), for X (n, d) and y (n,)."""
        parts = log_components(self.mixture(X), _targets(y, len(X)))
        return parts.logsumexp(dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the mean E[y | x], (n,)."""
        return mean_of(self.mixture(X)).numpy()

    def variance(self, X: np.ndarray) -> np.ndarray:
        """Return the variance of y given x, (n,)."""
        return variance_of(self.mixture(X)).numpy()

    def cdf(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y_i | x_i), (n,)."""
        return cdf_of(self.mixture(X), _targets(y, len(X))).numpy()

    def modes(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the modes of each row's density, rising."""
        found = climbed(self.mixture(X)).sort(dim=1).values.numpy()
        new = np.diff(found, axis=1, prepend=-np.inf) > APART * self.scale
        return [row[kept] for row, kept in zip(found, new, strict=True)]

    def sample(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a random y for each row of X, (n,)."""
        log_share, mean, log_variance = (each.numpy() for each in self.mixture(X))
        level = rng.random((len(X), 1))
        k = np.minimum(
            (np.exp(log_share).cumsum(axis=1) < level).sum(axis=1), mean.shape[1] - 1
        )
        row = np.arange(len(X))
        return rng.normal(mean[row, k], np.exp(log_variance[row, k] / 2))


def _targets(y: np.ndarray, n: int) -> Tensor:
    """Return the targets of n rows as float64; ValueError for another shape than (n,)
    and for a value that is not finite.
    """
    y = as_float64(y, "y")
    if y.shape != (n,):
        raise ValueError(f"y has shape {y.shape}, expected ({n},), one for each row")
    check_finite(y, "y")
    return torch.from_numpy(np.array(y))


def problem_of(config: Config, data: Splits[Table]) -> Problem:
    """Return what is trained. Raises ValueError for a target that never varies."""
    inputs, y = inputs_of(data.train), data.train.y
    # Not a standard deviation of 0: rounding gives that of many .1 as 1e-17.
    if y.min() == y.max():
        raise ValueError(f"the target is {y[0]:g} in every row: there is no density")
    centre, scale = float(y.mean()), float(y.std())

    def rows(block: Table) -> Rows:
        scaled = torch.from_numpy(((block.y - centre) / scale).astype(np.float32))
        return inputs.tensor(block.X).to(device()), scaled.to(device())

    def loss(found: Tensor, target: Tensor) -> Tensor:
        losses: Tensor = NegativeLogLikelihood.apply(found, target)
        return losses.mean() + math.log(scale)

    options = {
        "sizes": (n_inputs(inputs), *config.hidden, 3 * config.n_components),
        "activation": config.activation,
    }
    empty = Model(options, {}, inputs.scaling or (), centre, scale)
    return supervised_problem(
        config,
        train=rows(data.train),
        valid=None if data.valid is None else rows(data.valid),
        network="mlp",
        options=options,
        loss=loss,
        model=lambda weights: replace(empty, weights=weights),
    )


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch; `train_loss` is in nats."""
    yield from run(config, problem_of(config, data), state)


def figures(config: Config, model: Model, data: Splits[Table]) -> Mapping[str, Figure]:
    """Return the density over y by x, of one feature, with mean, modes and data."""
    X, y = data.train.X, data.train.y
    if X.shape[1] != 1:
        return {}
    x_grid = np.linspace(X.min(), X.max(), 160)
    margin = 0.15 * (y.max() - y.min())
    y_grid = np.linspace(y.min() - margin, y.max() + margin, 160)
    pairs = np.repeat(x_grid, len(y_grid))[:, None], np.tile(y_grid, len(x_grid))
    density = np.exp(model.log_density(*pairs)).reshape(len(x_grid), len(y_grid))
    figure, axes = new_figure()
    axes.grid(False)
    # Where it is narrow it is so high that all else would be white.
    top = float(np.quantile(density, 0.995))
    mesh = axes.pcolormesh(x_grid, y_grid, density.T, cmap="Blues", vmax=top)
    shown = np.random.default_rng(0).permutation(len(X))[:400]
    axes.scatter(X[shown, 0], y[shown], s=4, color="black", alpha=0.35, label="data")
    axes.plot(x_grid, model.predict(x_grid[:, None]), color="#D55E00", label="mean")
    modes = model.modes(x_grid[:, None])
    places = np.repeat(x_grid, [len(each) for each in modes])
    heights = np.exp(model.log_density(places[:, None], np.concatenate(modes)))
    highest = np.interp(places, x_grid, density.max(axis=1))
    high = heights > LOW * highest
    axes.scatter(
        places[high], np.concatenate(modes)[high], s=3, color="#009E73", label="modes"
    )
    name = data.train.feature_names[0]
    axes.set(xlabel=name, ylabel=data.train.target_name, ylim=(y_grid[0], y_grid[-1]))
    axes.legend(markerscale=2, loc="upper left")
    figure.colorbar(mesh, ax=axes, label="density of y given x", extend="max")
    return {"conditional_density": figure}
