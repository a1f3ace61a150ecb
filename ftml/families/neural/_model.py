"""Networks that tell classes apart: what they are given, and the model that predicts.

Axes: n samples, d features, k classes, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.data import Images, Table
from ftml.data.standardize import Scaling, apply_scaling, learn_scaling
from ftml.nn.image_networks import InceptionNet, LeNet, LocallyConnectedNet
from ftml.nn.mlp import MLP
from ftml.nn.one_hidden import OneHiddenNet
from ftml.nn.soft_sharing import SharedMLP

CHUNK = 1024
"Rows that are predicted at once: few enough to stay in the cache."

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "one_hidden": OneHiddenNet,
    "lenet": LeNet,
    "inception": InceptionNet,
    "locally_connected": LocallyConnectedNet,
    "shared": SharedMLP,
}
OF_IMAGES = ("lenet", "inception", "locally_connected")
"Networks that take (n, C, H, W); the others take rows."


@dataclass(frozen=True)
class Inputs:
    """What turns features or images into a network's input."""

    shape: tuple[int, ...]
    "of one sample: (d,), or (C, H, W) of images"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features; None for images"

    def tensor(self, X: np.ndarray) -> Tensor:
        """Return (n, d) float32, or (n, C, H, W) uint8.

        Raises ValueError when X is not of the kind and shape that the model was fitted
        on.
        """
        if (X.dtype == np.uint8) != (self.scaling is None):
            kind = "uint8 images" if self.scaling is None else "features"
            raise ValueError(f"the model was fitted on {kind}, X is {X.dtype}")
        if self.scaling is None:
            x = np.moveaxis(X, 3, 1) if X.ndim == 4 else X[:, None]
        else:
            if X.ndim != 2 or X.shape[1:] != self.shape:
                columns = X.shape[1] if X.ndim == 2 else X.shape
                raise ValueError(
                    f"X has {columns} columns, the model was fitted on {self.shape[0]}"
                )
            x = apply_scaling(X, Scaling(*self.scaling)).astype(np.float32)
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"X has images of (C, H, W) = {x.shape[1:]}, the model was fitted on "
                f"{self.shape}"
            )
        # A copy: of an array that cannot be written torch would warn.
        return torch.from_numpy(np.array(x, order="C"))


def inputs_of(data: Table | Images) -> Inputs:
    """Return what turns these data into a network's input, scaling learnt."""
    if isinstance(data, Images):
        channels = data.X.shape[3] if data.X.ndim == 4 else 1
        return Inputs((channels, *data.X.shape[1:3]), None)
    return Inputs(data.X.shape[1:], learn_scaling(data.X))


def as_float(x: Tensor) -> Tensor:
    """Return float32: pixels divided by 255, features as they are."""
    return x.float().mul_(1 / 255) if x.dtype == torch.uint8 else x


@dataclass(frozen=True)
class Model:
    network: str
    "a name of `NETWORKS`"

    options: Mapping[str, Any]
    "what the network is made with"

    weights: dict[str, Tensor]
    "its parameters and buffers, float32"

    shape: tuple[int, ...]
    "of one sample: (d,), or (C, H, W) of images"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features, learnt from the training rows; None for images"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        X: (n, d) float64, or images, (n, H, W) or (n, H, W, 3) uint8.
        """
        logits = outputs(self, X)
        return F.softmax(logits, dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return index

    def features(self, X: np.ndarray) -> np.ndarray:
        """Return what the last layer of an MLP or a LeNet is given, (n, units)."""
        return outputs(self, X, of=lambda network, x: network.features(x)).numpy()


def outputs(
    model: Any,
    X: np.ndarray,
    *,
    of: Callable[[Any, Tensor], Tensor] = lambda network, x: network(x),
) -> Tensor:
    """Return a network's outputs for X, (n, outputs) float64 on the CPU.

    of: what is computed of the network and its inputs, where not the outputs.
    """
    where = next(iter(model.weights.values())).device
    network = NETWORKS[model.network](**model.options)
    network.load_state_dict(model.weights, assign=True)
    network.eval()
    inputs, parts = Inputs(tuple(model.shape), model.scaling), []
    with torch.inference_mode():
        for start in range(0, max(len(X), 1), CHUNK):
            x = as_float(inputs.tensor(X[start : start + CHUNK]).to(where))
            parts.append(of(network, arranged(x, model.network)).double().cpu())
    return torch.cat(parts)


def arranged(x: Tensor, network: str) -> Tensor:
    """Return images as rows, (..., d), for a network that takes rows."""
    return x.flatten(-3) if network not in OF_IMAGES and x.ndim > 3 else x


def n_inputs(inputs: Inputs) -> int:
    """Return d, of the features or of all pixels."""
    return math.prod(inputs.shape)


def image_shape(data: Any, inputs: Inputs) -> tuple[int, ...]:
    """Return (C, H, W); ValueError for data that are no images."""
    if not isinstance(data, Images):
        raise ValueError(
            f"the network needs data of the kind Images, got {type(data).__name__}"
        )
    return inputs.shape
