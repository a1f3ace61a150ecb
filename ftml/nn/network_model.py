"""The model of one network on features or images, and how it computes on data.

Axes: n samples, d features, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from ftml.data.standardize import Scaling
from ftml.nn.inputs import Inputs, as_float
from ftml.nn.prediction import in_chunks, loaded, rows_at_once


@dataclass(frozen=True)
class NetworkModel:
    """What makes a trained network again, and its inputs of features or images.

    The models of families add to these fields, and have the methods of their tasks.
    """

    network: str
    "its name in the table of networks of its chapter"

    options: Mapping[str, Any]
    "what the network is made with"

    weights: dict[str, Tensor]
    "its parameters and buffers, float32"

    shape: tuple[int, ...]
    "of one sample: (d,), or (C, H, W) of images"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features, learnt from the training rows; None for images"


def mapped(
    model: NetworkModel,
    network: nn.Module,
    X: np.ndarray,
    function: Callable[[Any, Tensor], Tensor],
) -> Tensor:
    """Return a function of the model's network and of data X, chunk by chunk, (n, ...)
    float64 on the CPU.

    network: made with the model's options, its weights are replaced. X: features (n, d)
    or images uint8. Raises ValueError for data of another kind or shape than the model
    was fitted on.
    """
    network, where = loaded(network, model.weights)
    inputs = Inputs(tuple(model.shape), model.scaling)
    inputs.check(X)  # here too, because an error names a row of X, not of a chunk

    def chunk(rows: slice) -> Tensor:
        return function(network, as_float(inputs.tensor(X[rows]).to(where)))

    return in_chunks(chunk, len(X), size=rows_at_once(X.shape[1:]))
