"""Features and images as the input of a network.

Axes: n samples, d features, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftml.core import device
from ftml.data import Images, Table
from ftml.data.checks import check_array, check_rows
from ftml.data.standardize import Scaling, apply_scaling, learn_scaling


@dataclass(frozen=True)
class Inputs:
    """What turns features or images into a network's input."""

    shape: tuple[int, ...]
    "of one sample: (d,), or (C, H, W) of images"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features; None for images"

    def check(self, X: np.ndarray) -> None:
        """Raise ValueError unless X is of the kind and shape that the model was fitted
        on, features finite; TypeError for what is not an array of numbers.
        """
        check_array(X, "X")
        if (X.dtype == np.uint8) != (self.scaling is None):
            kind = "uint8 images" if self.scaling is None else "features"
            raise ValueError(f"the model was fitted on {kind}, X is {X.dtype}")
        if self.scaling is not None:
            check_rows(X, self.shape[0])
            return
        if X.ndim not in (3, 4):
            raise ValueError(
                f"X has shape {X.shape}, expected images (n, H, W) or (n, H, W, 3); "
                "for one image x it is x[None]"
            )
        if (shape := _channels_first(X).shape[1:]) != self.shape:
            raise ValueError(
                f"X has images of (C, H, W) = {shape}, the model was fitted on "
                f"{self.shape}"
            )

    def tensor(self, X: np.ndarray) -> Tensor:
        """Return (n, d) float32, or (n, C, H, W) uint8. Raises as `check`."""
        self.check(X)
        if self.scaling is None:
            x = _channels_first(X)
        else:
            x = apply_scaling(X, Scaling(*self.scaling)).astype(np.float32)
        # A copy, because torch warns about an array that is read-only.
        return torch.from_numpy(np.array(x, order="C"))


def _channels_first(X: np.ndarray) -> np.ndarray:
    """Return images (n, H, W) or (n, H, W, 3) as (n, C, H, W)."""
    return np.moveaxis(X, 3, 1) if X.ndim == 4 else X[:, None]


def inputs_of(data: Table | Images) -> Inputs:
    """Return what turns these data into a network's input, with scaling learnt."""
    if isinstance(data, Images):
        channels = data.X.shape[3] if data.X.ndim == 4 else 1
        return Inputs((channels, *data.X.shape[1:3]), None)
    return Inputs(data.X.shape[1:], learn_scaling(data.X))


def n_inputs(inputs: Inputs) -> int:
    """Return d: the number of features, or of all pixels."""
    return math.prod(inputs.shape)


def check_images(data: Any) -> None:
    """Raise ValueError for data that are not images."""
    if not isinstance(data, Images):
        raise ValueError(
            f"the network needs data of the kind Images, got {type(data).__name__}"
        )


def as_float(x: Tensor) -> Tensor:
    """Return float32: pixels divided by 255, features unchanged."""
    return x.float().mul_(1 / 255) if x.dtype == torch.uint8 else x


def tensor(values: np.ndarray, where: torch.device | None = None) -> Tensor:
    """Return a copy on a device, float64 as float32; by default the training device."""
    kind = np.float32 if values.dtype == np.float64 else values.dtype
    return torch.from_numpy(np.array(values, kind)).to(where or device())
