"""The networks of domain generalization: their config, and the model that predicts.

Axes: n samples, d features, k classes, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import FamilyConfig, LogUniform
from ftml.data import Domains
from ftml.data.standardize import Scaling, apply_scaling
from ftml.nn.cnn import CNN
from ftml.nn.mlp import MLP

CHUNK = 1024
"Rows that are predicted at once: few enough to stay in the cache."


class DomainConfig(FamilyConfig):
    """What the configuration of every family of this chapter has."""

    network: Literal["mlp", "cnn"] = "mlp"
    "an MLP on features, or on the pixels of images; or a small CNN on images"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each hidden layer of the MLP; none makes the model linear"

    width: Annotated[int, Field(ge=8, multiple_of=8)] = 16
    "channels of the CNN's first convolution; the others have twice as many"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-4, 1e-1)] = 3e-3
    "step size of Adam"

    weight_decay: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e-1)] = 1e-4
    "L2 penalty on weights and biases, as Adam adds it to the gradient"

    batch_size: Annotated[int, Field(ge=1)] | None = 64
    "samples of each domain in an update; `null` takes all: the loss is L_ERM itself"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "an epoch is as many updates as a domain of mean size holds batches"


@dataclass(frozen=True)
class Model:
    network: str
    "mlp or cnn"

    sizes: tuple[int, ...]
    "of the MLP, d, the hidden units and k; of the CNN, C, its width and k"

    weights: dict[str, Tensor]
    "of the network of these sizes, float32"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features, learnt from the training domains; None for images"

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        x: (n, d) float64, NaN where a value is missing, or images, (n, H, W) or
        (n, H, W, 3) uint8.
        """
        where = next(iter(self.weights.values())).device
        network = make_network(self.network, self.sizes)
        network.load_state_dict(self.weights, assign=True)
        chunks = []
        with torch.inference_mode():
            for start in range(0, max(len(x), 1), CHUNK):
                rows = network_input(
                    x[start : start + CHUNK],
                    network=self.network,
                    sizes=self.sizes,
                    scaling=self.scaling,
                )
                logits = network(as_float(rows.to(where)))
                chunks.append(F.softmax(logits.double(), dim=1).cpu().numpy())
        return np.concatenate(chunks)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(x).argmax(axis=1)
        return index


def sizes_of(config: DomainConfig, data: Domains) -> tuple[int, ...]:
    """Return the sizes of the network that the config asks for on these data.

    Raises ValueError for a CNN on features.
    """
    k = len(data.class_names)
    if config.network == "mlp":
        return (math.prod(data.x.shape[1:]), *config.hidden, k)
    if not data.is_images:
        raise ValueError("network: cnn needs images, the data hold features")
    return (data.x.shape[3] if data.x.ndim == 4 else 1, config.width, k)


def make_network(
    network: str, sizes: tuple[int, ...], generator: torch.Generator | None = None
) -> MLP | CNN:
    """Return the network of these sizes, drawn from `generator`, or without weights."""
    if network == "mlp":
        return MLP(sizes, generator=generator)
    channels, width, k = sizes
    return CNN(channels, k, width=width, generator=generator)


def network_input(
    x: np.ndarray, *, network: str, sizes: tuple[int, ...], scaling: Any
) -> Tensor:
    """Return what `as_float` makes the network's input of.

    That is (n, d), pixels uint8 or scaled features float32; or, for a CNN, (n, C, H, W)
    uint8. Raises ValueError when x is not of the kind that the model was fitted on.
    """
    kind = "uint8 images" if scaling is None else "features"
    if (x.dtype == np.uint8) != (scaling is None):
        raise ValueError(f"the model was fitted on {kind}, x is {x.dtype}")
    if network == "mlp":
        rows, axis, what = x.reshape(len(x), math.prod(x.shape[1:])), 1, "columns"
    else:
        rows, axis, what = x[..., None] if x.ndim == 3 else x, 3, "channels"
    if rows.shape[axis] != sizes[0]:
        raise ValueError(
            f"x has {rows.shape[axis]} {what}, the model was fitted on {sizes[0]}"
        )
    if scaling is not None:
        rows = apply_scaling(rows, Scaling(*scaling)).astype(np.float32)
    tensor = torch.from_numpy(rows.copy() if scaling is None else rows)
    if network == "mlp":
        return tensor
    return tensor.permute(0, 3, 1, 2).contiguous()


def as_float(x: Tensor) -> Tensor:
    """Return float32: pixels divided by 255, features as they are."""
    return x / 255 if x.dtype == torch.uint8 else x
