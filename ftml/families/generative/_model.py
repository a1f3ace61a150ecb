"""What models of this chapter share: predictions, and data in their own units.

Axes: n rows, d values of a row, m dimension of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftml.data.standardize import Scaling
from ftml.nn import network_model
from ftml.nn.adversaries import Adversaries
from ftml.nn.autoencoder_networks import (
    Autoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
)
from ftml.nn.latent_networks import DeepLatentGaussian, LatentGaussian
from ftml.nn.network_model import NetworkModel
from ftml.nn.prediction import in_chunks, loaded, rows_at_once

NETWORKS: dict[str, Callable[..., Any]] = {
    "linear": LinearAutoencoder,
    "dense": Autoencoder,
    "convolutional": ConvAutoencoder,
    "latent": LatentGaussian,
    "deep_latent": DeepLatentGaussian,
    "adversaries": Adversaries,
}


def mapped(
    model: NetworkModel, X: np.ndarray, function: Callable[[Any, Tensor], Tensor]
) -> np.ndarray:
    """Return what `network_model.mapped` does, as a numpy array."""
    network = NETWORKS[model.network](**model.options)
    return network_model.mapped(model, network, X, function).numpy()


def decoded(model: NetworkModel, z: np.ndarray) -> np.ndarray:
    """Return what the network's decoder generates from codes z (n, m): scaled features
    (n, d), or pixels from 0 to 1, (n, C, H, W).
    """
    network, where = loaded(NETWORKS[model.network](**model.options), model.weights)

    def chunk(rows: slice) -> Tensor:
        return network.decode(torch.from_numpy(np.float32(z[rows])).to(where))

    return in_chunks(chunk, len(z), size=rows_at_once(model.shape)).numpy()


def as_data(model: NetworkModel, x: np.ndarray) -> np.ndarray:
    """Return a network's data (n, ...) in the units of the data, float64.

    Features are scaled back; pixels are from 0 to 255, (n, H, W) or (n, H, W, 3).
    """
    if model.scaling is not None:
        scaling = Scaling(*model.scaling)
        return x * scaling.scale + scaling.center
    x = np.moveaxis(255.0 * x, 1, 3)
    return x[..., 0] if x.shape[3] == 1 else x


def as_samples(model: NetworkModel, x: np.ndarray) -> np.ndarray:
    """Return a network's data as data are: features float64, images uint8."""
    found = as_data(model, x)
    if model.scaling is not None:
        return found
    # A value that is no number stays one for the task to find, and is no pixel.
    if not np.isfinite(found).all():
        return found
    return np.rint(np.clip(found, 0, 255)).astype(np.uint8)
