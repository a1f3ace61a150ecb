"""What a network is trained on: rows and targets, a loss, a model at the end.

Axes: n rows, B batch, M members of a stack, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.core import device
from ftml.data import Images, Splits, Table
from ftml.families.neural._config import ClassifierConfig
from ftml.families.neural._model import Inputs, Model, inputs_of
from ftml.nn.layers import Draw

Rows = tuple[Tensor, ...]
"Inputs and targets, row by row."


@dataclass(frozen=True)
class Problem:
    """What is trained on what."""

    train: Rows
    valid: Rows | None
    network: str
    "a name of `NETWORKS`"

    options: Mapping[str, Any]
    "what the network is made with"

    loss: Callable[..., Tensor]
    "mean over the rows of a batch, of outputs and targets; (M,) for a stack"

    model: Callable[[dict[str, Tensor]], Any]
    "the family's model with these weights"

    penalty: Callable[[Mapping[str, Tensor], int, int], Tensor] | None = None
    """what is added to the loss, (), or (M,): of the weights by name, 1 for those of a
    stack, and the number of the epoch"""

    begin: Callable[[Mapping[str, Tensor], int], None] | None = None
    "what is done to the weights, in place, before the epoch of that number"


def make_model(
    network: str, options: Mapping[str, Any], inputs: Inputs, weights: dict[str, Tensor]
) -> Model:
    """Return the model of a network that tells classes apart."""
    return Model(network, options, weights, inputs.shape, inputs.scaling)


def classification(
    config: ClassifierConfig,
    data: Splits[Any],
    network: str,
    options: Callable[[Inputs, int], Mapping[str, Any]],
    *,
    model: Callable[..., Any] = make_model,
) -> Problem:
    """Return the problem of telling classes apart by cross-entropy.

    options: of the network, from the inputs and the number of classes. model: makes the
    model, as `make_model` does.
    """
    block = data.train
    inputs = inputs_of(block)
    made = dict(options(inputs, len(block.classes)))

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        # Classes in the second place, as torch wants them, of a stack too.
        each = F.cross_entropy(
            logits.movedim(-1, 1),
            y,
            reduction="none",
            label_smoothing=config.label_smoothing,
        )
        return each.mean(dim=-1)

    return Problem(
        train=rows_of(block, inputs),
        valid=None if data.valid is None else rows_of(data.valid, inputs),
        network=network,
        options=made,
        loss=loss,
        model=partial(model, network, made, inputs),
    )


def rows_of(block: Table | Images, inputs: Inputs) -> Rows:
    """Return the inputs (n, ...) and the classes (n,) on the device."""
    y = torch.tensor(block.y, device=device())
    return inputs.tensor(block.X).to(device()), y


def gather(rows: Rows, index: Tensor) -> Rows:
    """Return rows of these numbers, (B, ...), or (M, B, ...) for index (M, B)."""
    if index.ndim == 1:
        return tuple(each.index_select(0, index) for each in rows)
    flat = index.flatten()
    return tuple(
        each.index_select(0, flat).unflatten(0, tuple(index.shape)) for each in rows
    )


def moved(x: Tensor, shift: int, draw: Draw) -> Tensor:
    """Return images (..., C, H, W) moved by up to `shift` pixels, black coming in."""
    H, W = x.shape[-2:]
    places = torch.empty(*x.shape[:-3], 2, device=x.device)
    offset = (draw.uniform(places) * (2 * shift + 1)).long()  # (..., 2)
    padded = F.pad(x, (shift,) * 4)
    down = torch.arange(H, device=x.device) + offset[..., :1]  # (..., H)
    right = torch.arange(W, device=x.device) + offset[..., 1:]  # (..., W)
    lines = padded.gather(
        -2,
        down[..., None, :, None].expand(*x.shape[:-2], H, padded.shape[-1]),
    )
    return lines.gather(-1, right[..., None, None, :].expand(*x.shape[:-1], W))
