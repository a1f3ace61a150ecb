"""Recursive network: a tree's state is made of its parts', from the leaves to the root.

    h = F(h_left, h_right) at each node,   P(y | tree) = softmax(V h_root + c)_y

All nodes of one height, over all trees of a batch, are one product: as many steps as
the highest tree is high, O(log n) for a balanced one.

Source: Deep learning cheat sheet, section 16.4; Socher et al. 2011, "Parsing natural
scenes and natural language with recursive neural networks"; Tai et al. 2015, "Improved
semantic representations from tree-structured long short-term memory networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import Integers
from ftml.core import State, Step
from ftml.data import Splits, Trees
from ftml.data.ragged import check_vocabulary
from ftml.data.trees import Forest
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.nn.inputs import tensor
from ftml.nn.layers import Draw
from ftml.nn.prediction import in_chunks, loaded
from ftml.nn.tree_networks import Composition, RecursiveNet
from ftml.plots import new_figure
from ftml.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "classification"
DATA = (Trees,)
CHUNK = 256


class Config(TrainingConfig):
    dimension: Annotated[int, Field(ge=1), Integers(16, 64)] = 32
    "dimension of a node's state"

    composition: Composition = "lstm"
    "F: one dense layer, or a Tree-LSTM's gates"

    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    "step size of Adam"

    n_epochs: Annotated[int, Field(ge=1)] = 20
    "passes over the trees"


@dataclass(frozen=True)
class Model:
    options: Mapping[str, Any]
    weights: dict[str, Tensor]
    vocabulary: tuple[str, ...]

    def predict_proba(self, X: Forest) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        Raises ValueError for trees of another vocabulary than the model's.
        """
        check_vocabulary(X.vocabulary, self.vocabulary, what="trees")
        network, _ = loaded(RecursiveNet(**self.options), self.weights)
        n, every = len(X), np.arange(len(X))
        logits = in_chunks(lambda rows: network(X.rows(every[rows])), n, size=CHUNK)
        return F.softmax(logits, dim=1).numpy()

    def predict(self, X: Forest) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return index


def train(
    config: Config, data: Splits[Trees], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    block = data.train
    X = block.X
    options: dict[str, Any] = {
        "n_symbols": len(block.vocabulary),
        "d": config.dimension,
        "composition": config.composition,
        "dropout": config.dropout,
        "n_classes": len(block.classes),
    }

    def loss(network: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        logits = network(X.rows(index), draw)
        y = tensor(block.y[index])
        return F.cross_entropy(logits, y, reduction="sum"), len(index)

    problem = length_problem(
        config,
        np.diff(block.offsets),
        lambda generator: RecursiveNet(**options, generator=generator),
        loss,
        partial(Model, options, vocabulary=block.vocabulary),
    )
    yield from run(config, problem, state)


def figures(config: Config, model: Model, data: Splits[Trees]) -> Mapping[str, Figure]:
    """Return the accuracy on training trees of each height."""
    from matplotlib.ticker import MaxNLocator

    X = data.train.X
    height, right = X.heights()[X.roots()], model.predict(X) == data.train.y
    found = np.unique(height)
    figure, axes = new_figure()
    shares = [right[height == h].mean() for h in found]
    axes.plot(found, shares, marker=".")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="height of the tree", ylabel="accuracy", ylim=(0, 1.02))
    return {"accuracy_by_height": figure}
