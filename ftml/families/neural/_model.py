"""Networks that classify: the registry, and the model that predicts.

Axes: n samples, d features, k classes, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.image_networks import InceptionNet, LeNet, LocallyConnectedNet
from ftml.nn.inputs import Inputs, check_images
from ftml.nn.mlp import MLP
from ftml.nn.network_model import NetworkModel, mapped
from ftml.nn.one_hidden import OneHiddenNet
from ftml.nn.soft_sharing import SharedMLP

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
class Model(NetworkModel):
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
    model: NetworkModel,
    X: np.ndarray,
    *,
    of: Callable[[Any, Tensor], Tensor] = lambda network, x: network(x),
) -> Tensor:
    """Return a network's outputs for X, (n, outputs) float64 on the CPU.

    of: what is computed from the network and its inputs instead of the outputs.
    """
    return mapped(
        model,
        NETWORKS[model.network](**model.options),
        X,
        lambda network, x: of(network, arranged(x, model.network)),
    )


def arranged(x: Tensor, network: str) -> Tensor:
    """Return images as rows, (..., d), for a network that takes rows."""
    return x.flatten(-3) if network not in OF_IMAGES and x.ndim > 3 else x


def image_shape(data: Any, inputs: Inputs) -> tuple[int, ...]:
    """Return (C, H, W); ValueError for data that are not images."""
    check_images(data)
    return inputs.shape
