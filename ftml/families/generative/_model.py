"""What models of this chapter share: data in and out of

Axes: n rows, d values of a row, m numbers of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftml.data import Images, Table
from ftml.data.standardize import Scaling
from ftml.families.neural._model import CHUNK, Inputs, as_float, inputs_of
from ftml.nn.adversaries import Adversaries
from ftml.nn.autoencoder_networks import (
    Autoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
)
from ftml.nn.latent_networks import DeepLatentGaussian, LatentGaussian

__all__ = ["CHUNK", "Inputs", "as_float", "inputs_of"]

NETWORKS: dict[str, Callable[..., Any]] = {
    "linear": LinearAutoencoder,
    "dense": Autoencoder,
    "convolutional": ConvAutoencoder,
    "latent": LatentGaussian,
    "deep_latent": DeepLatentGaussian,
    "adversaries": Adversaries,
}


def network_of(model: Any) -> Any:
    """Return the network of a model, its weights where they lie."""
    network: nn.Module = NETWORKS[model.network](**model.options)
    network.load_state_dict(model.weights, assign=True)
    return network.eval()


def check_images(block: Images | Table) -> None:
    """Raise ValueError for data that are no images."""
    if not isinstance(block, Images):
        raise ValueError(
            f"the network needs data of the kind Images, got {type(block).__name__}"
        )


def rows_of(block: Images | Table, inputs: Inputs) -> Tensor:
    """Return data as a network takes them, (n, ...); pixels stay uint8."""
    return inputs.tensor(block.X)


@torch.inference_mode()
def mapped(model: Any, X: np.ndarray, function: Callable[[Any, Tensor], Tensor]) -> Any:
    """Return a function of the network and of data, chunk by chunk, float64 numpy.

    X: features (n, d) or images uint8. Raises ValueError for data of another kind or
    shape than the model was fitted on.
    """
    network, inputs = network_of(model), Inputs(tuple(model.shape), model.scaling)
    where, parts = _device_of(model), []
    for start in range(0, max(len(X), 1), CHUNK):
        x = as_float(inputs.tensor(X[start : start + CHUNK]).to(where))
        parts.append(function(network, x).double().cpu())
    return torch.cat(parts).numpy()


@torch.inference_mode()
def decoded(model: Any, z: np.ndarray) -> np.ndarray:
    """Return what the network's decoder makes of codes z (n, m), as the network does:
    features scaled, (n, d), pixels from 0 to 1, (n, C, H, W).
    """
    network, where, parts = network_of(model), _device_of(model), []
    for start in range(0, max(len(z), 1), CHUNK):
        each = torch.from_numpy(np.float32(z[start : start + CHUNK])).to(where)
        parts.append(network.decode(each).double().cpu())
    return torch.cat(parts).numpy()


def _device_of(model: Any) -> torch.device:
    return next(iter(model.weights.values())).device


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
