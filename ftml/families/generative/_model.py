"""What models of this chapter share: predictions, and data in their own units.

Axes: n rows, d values of a row, m dimension of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftml.data import Images, Table
from ftml.data.standardize import Scaling
from ftml.nn import prediction
from ftml.nn.adversaries import Adversaries
from ftml.nn.autoencoder_networks import (
    Autoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
)
from ftml.nn.inputs import Inputs, as_float
from ftml.nn.latent_networks import DeepLatentGaussian, LatentGaussian
from ftml.nn.prediction import in_chunks, rows_at_once

NETWORKS: dict[str, Callable[..., Any]] = {
    "linear": LinearAutoencoder,
    "dense": Autoencoder,
    "convolutional": ConvAutoencoder,
    "latent": LatentGaussian,
    "deep_latent": DeepLatentGaussian,
    "adversaries": Adversaries,
}


def rows_of(block: Images | Table, inputs: Inputs) -> Tensor:
    """Return data as a network takes them, (n, ...); pixels stay uint8."""
    return inputs.tensor(block.X)


def loaded(model: Any) -> tuple[Any, torch.device]:
    """Return the network of a model with its weights, and their device."""
    return prediction.loaded(NETWORKS[model.network](**model.options), model.weights)


def mapped(model: Any, X: np.ndarray, function: Callable[[Any, Tensor], Tensor]) -> Any:
    """Return a function of the network and of data, chunk by chunk, float64 numpy.

    X: features (n, d) or images uint8. Raises ValueError for data of another kind or
    shape than the model was fitted on.
    """
    (network, where), inputs = loaded(model), Inputs(tuple(model.shape), model.scaling)
    inputs.check(X)  # here too, because an error names a row of X, not of a chunk

    def chunk(rows: slice) -> Tensor:
        return function(network, as_float(inputs.tensor(X[rows]).to(where)))

    return in_chunks(chunk, len(X), size=rows_at_once(X.shape[1:])).numpy()


def decoded(model: Any, z: np.ndarray) -> np.ndarray:
    """Return what the network's decoder generates from codes z (n, m): scaled features
    (n, d), or pixels from 0 to 1, (n, C, H, W).
    """
    network, where = loaded(model)

    def chunk(rows: slice) -> Tensor:
        return network.decode(torch.from_numpy(np.float32(z[rows])).to(where))

    return in_chunks(chunk, len(z), size=rows_at_once(model.shape)).numpy()


def as_data(model: Any, x: np.ndarray) -> np.ndarray:
    """Return a network's data (n, ...) in the units of the data, float64.

    Features are scaled back; pixels are from 0 to 255, (n, H, W) or (n, H, W, 3).
    """
    if model.scaling is not None:
        scaling = Scaling(*model.scaling)
        return x * scaling.scale + scaling.center
    x = np.moveaxis(255.0 * x, 1, 3)
    return x[..., 0] if x.shape[3] == 1 else x


def as_samples(model: Any, x: np.ndarray) -> np.ndarray:
    """Return a network's data as data are: features float64, images uint8."""
    found = as_data(model, x)
    if model.scaling is not None:
        return found
    # A value that is no number stays one for the task to find, and is no pixel.
    if not np.isfinite(found).all():
        return found
    return np.rint(np.clip(found, 0, 255)).astype(np.uint8)
