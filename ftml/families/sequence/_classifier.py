"""Classification of sequences: the problem, and the model that predicts.

Axes: n sequences, T time, d channels, k classes, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.data import Sequences
from ftml.data.ragged import Ragged, check_vocabulary
from ftml.data.standardize import Scaling, apply_scaling, learn_scaling
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.nn.inputs import tensor
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunks_by_length, loaded
from ftml.nn.sequence_networks import RecurrentClassifier
from ftml.nn.text_networks import DynamicCNN, TextCNN
from ftml.training import Problem

CHUNK = 256
"Sequences that are predicted at once."

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "recurrent": RecurrentClassifier,
    "text_cnn": TextCNN,
    "dynamic_cnn": DynamicCNN,
}


@dataclass(frozen=True)
class Model:
    network: str
    "a name of `NETWORKS`"

    options: Mapping[str, object]
    "what the network is made with"

    weights: dict[str, Tensor]
    "its parameters, float32"

    vocabulary: tuple[str, ...]
    "of sequences of symbols"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of each channel, learnt from the training sequences; None for symbols"

    def predict_proba(self, X: Ragged) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        Raises ValueError for sequences of other channels or of another vocabulary than
        the model was fitted on.
        """
        X = scaled(X, self.scaling, self.vocabulary)
        network, where = made(self)
        order, logits = [], []
        with torch.inference_mode():
            for index in chunks_by_length(X.lengths, CHUNK):
                x, mask = (tensor(each, where) for each in X.padded(index))
                order.append(index)
                logits.append(network(x, mask).double().cpu())
        proba = F.softmax(torch.cat(logits), dim=1).numpy()
        return proba[np.argsort(np.concatenate(order))]

    def predict(self, X: Ragged) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return index


def made(model: Any) -> tuple[Any, torch.device]:
    """Return the network of a model with its weights, and their device."""
    return loaded(NETWORKS[model.network](**model.options), model.weights)


def scaled(X: Ragged, scaling: Any, vocabulary: tuple[str, ...] | list[str]) -> Ragged:
    """Return sequences as a network takes them; ValueError for those of others."""
    check_vocabulary(X.vocabulary, vocabulary, what="sequences")
    if scaling is None:
        return X
    scaling = Scaling(*scaling)
    if X.values.shape[1:] != scaling.center.shape:
        raise ValueError(
            f"the sequences have {X.values.shape[1]} channels, the model was fitted on "
            f"{len(scaling.center)}"
        )
    return Ragged(apply_scaling(X.values, scaling), X.offsets)


def classification(
    config: TrainingConfig,
    data: Sequences,
    network: str,
    options: Mapping[str, object],
    *,
    prepared: Callable[[nn.Module], nn.Module] = lambda made: made,
    model: Callable[..., Any] = Model,
) -> Problem:
    """Return the problem of classifying sequences by cross-entropy.

    options: of the network, without `n_inputs` and `n_classes`. prepared: changes a
    network with its random weights. Raises ValueError for sequences without classes.
    """
    if not data.classes:
        raise ValueError("the sequences have no classes")
    scaling = None if data.vocabulary else learn_scaling(data.values)
    X = scaled(data.X, scaling, data.vocabulary)
    n_inputs = len(data.vocabulary) or X.values.shape[1]
    given = {**options, "n_inputs": n_inputs, "n_classes": len(data.classes)}

    def draw_network(generator: torch.Generator | None) -> nn.Module:
        return prepared(NETWORKS[network](**given, generator=generator))

    def loss(made: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        x, mask = X.padded(index)
        logits = made(tensor(x), tensor(mask), draw)
        y = tensor(data.y[index])
        return F.cross_entropy(logits, y, reduction="sum"), len(index)

    return length_problem(
        config,
        X.lengths,
        draw_network,
        loss,
        partial(
            _model, model, network, given, vocabulary=data.vocabulary, scaling=scaling
        ),
    )


def _model(
    kind: Callable[..., Any],
    network: str,
    options: Mapping[str, object],
    weights: dict[str, Tensor],
    *,
    vocabulary: tuple[str, ...],
    scaling: Scaling | None,
) -> Any:
    return kind(network, options, weights, vocabulary, scaling)
