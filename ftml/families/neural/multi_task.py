"""Multi-task perceptron: one trunk of hidden layers, a head for each task.

    minimise mean cross-entropy(y, f(x)) + auxiliary_weight mean |z - g(x)|^2

f predicts the classes, g predicts the auxiliary targets z. Both are linear in the same
hidden units, which are trained by both losses. z are columns of the table, which then
are not inputs, or else the scaled features (pixels) themselves. With weight 0 the
second task has no influence.

Source: Deep learning cheat sheet, section 14.12 (multi-task sharing, features learnt
from inputs alone); Caruana 1997, "Multitask learning".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import LogUniform, nearest
from ftml.core import State, Step, device
from ftml.data import Images, Splits, Table
from ftml.data.checks import check_rows
from ftml.data.standardize import Scaling
from ftml.families.neural._config import DropoutConfig
from ftml.families.neural._model import outputs
from ftml.families.neural._problem import Rows, supervised_problem
from ftml.nn.activations import Activation
from ftml.nn.inputs import Inputs, as_float, inputs_of, n_inputs
from ftml.nn.network_model import NetworkModel
from ftml.training import Problem, run

TASK = "classification"
DATA = (Table, Images)


class Config(DropoutConfig):
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each layer of the shared trunk; at least one"

    activation: Activation = "relu"
    "of the hidden units"

    auxiliary: tuple[str, ...] = ()
    "columns that are predicted in place of being inputs; none: all are reconstructed"

    auxiliary_weight: Annotated[float, Field(ge=0), LogUniform(1e-2, 10.0)] = 0.3
    "weight of the auxiliary squared error; the cross-entropy has weight 1"


@dataclass(frozen=True)
class Model(NetworkModel):
    """An MLP with both heads in its last layer; its shape and scaling are those of the
    inputs, without auxiliary columns.
    """

    n_classes: int

    columns: tuple[int, ...] | None
    "which columns of X are inputs; None: all"

    n_columns: int
    "of X"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64, for X (n, n_columns).

        The auxiliary columns of X are not used.
        """
        return F.softmax(self._outputs(X)[:, : self.n_classes], dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return index

    def predict_auxiliary(self, X: np.ndarray) -> np.ndarray:
        """Return the auxiliary targets, scaled as in training, (n, d_aux)."""
        return self._outputs(X)[:, self.n_classes :].numpy()

    def _outputs(self, X: np.ndarray) -> Tensor:
        if self.columns is None:
            return outputs(self, X)
        check_rows(X, self.n_columns)
        return outputs(self, X[:, list(self.columns)])


def split_columns(config: Config, data: Table | Images) -> tuple[list[int], list[int]]:
    """Return the places of the input and of the auxiliary columns.

    Raises ValueError for a column that is not there, and when no input would be left.
    """
    if not config.auxiliary:
        return [], []
    if isinstance(data, Images):
        raise ValueError("auxiliary: names columns of a table, these are images")
    for name in config.auxiliary:
        if name not in data.feature_names:
            known = nearest(name, data.feature_names)
            raise ValueError(f"auxiliary: no column {name!r}{known}")
    auxiliary = [data.feature_names.index(name) for name in config.auxiliary]
    kept = [j for j in range(data.X.shape[1]) if j not in set(auxiliary)]
    if not kept:
        raise ValueError("auxiliary: holds every column, none is left as an input")
    return kept, auxiliary


def _only(whole: Inputs, kept: list[int]) -> Inputs:
    """Return the inputs of these columns; those of all for none."""
    if not kept or whole.scaling is None:
        return whole
    return Inputs((len(kept),), Scaling(*(each[kept] for each in whole.scaling)))


def _loss(config: Config, k: int, found: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Return the loss of outputs (B, k + d_aux) for classes y (B,) and auxiliary
    targets z (B, d_aux).
    """
    smoothed = F.cross_entropy(found[:, :k], y, label_smoothing=config.label_smoothing)
    return smoothed + config.auxiliary_weight * F.mse_loss(found[:, k:], z)


def problem_of(config: Config, data: Splits[Images | Table]) -> Problem:
    """Return what is trained: two tasks on one trunk."""
    block, k = data.train, len(data.train.classes)
    if not config.hidden:
        raise ValueError("hidden: the tasks share hidden layers, there is none")
    kept, auxiliary = split_columns(config, block)
    whole = inputs_of(block)
    inputs = _only(whole, kept)

    def rows(part: Table | Images) -> Rows:
        x = whole.tensor(part.X).to(device())
        y = torch.tensor(part.y, device=device())
        if not kept:
            return x, y, as_float(x).flatten(1)
        return x[:, kept], y, x[:, auxiliary]

    n_auxiliary = len(auxiliary) or n_inputs(whole)
    options = {
        "sizes": (n_inputs(inputs), *config.hidden, k + n_auxiliary),
        "activation": config.activation,
        "hidden_dropout": config.hidden_dropout,
    }
    empty = Model(
        network="mlp",
        options=options,
        weights={},
        shape=inputs.shape,
        scaling=inputs.scaling,
        n_classes=k,
        columns=tuple(kept) or None,
        n_columns=n_inputs(whole),
    )
    return supervised_problem(
        config,
        train=rows(block),
        valid=None if data.valid is None else rows(data.valid),
        network="mlp",
        options=options,
        loss=partial(_loss, config, k),
        model=lambda weights: replace(empty, weights=weights),
    )


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError as `split_columns` does."""
    yield from run(config, problem_of(config, data), state)
