"""Networks on inputs and targets as problems of the shared training loop.

Axes: n rows, B batch, M entries of a stack, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.core import device
from ftml.data import Images, Splits, Table
from ftml.data.class_weights import ClassWeight, sample_weights
from ftml.families.neural._config import (
    ClassifierConfig,
    OptimizerName,
    TrainingConfig,
)
from ftml.families.neural._model import NETWORKS, Model, arranged
from ftml.nn.inputs import Inputs, as_float, inputs_of
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunks, rows_at_once
from ftml.optim import optimizers
from ftml.optim.optimizers import MakeOptimizer
from ftml.training import Context, Problem, Turn

Rows = tuple[Tensor, ...]
"Inputs and targets, with one row per sample."


OPTIMIZERS: dict[OptimizerName, MakeOptimizer] = {
    "sgd": optimizers.sgd,
    "momentum": optimizers.momentum,
    "nesterov": optimizers.nesterov,
    "adagrad": optimizers.adagrad,
    "rmsprop": optimizers.rmsprop,
    "adam": optimizers.adam,
}


def supervised_problem(
    config: TrainingConfig,
    train: Rows,
    valid: Rows | None,
    network: str,
    options: Mapping[str, object],
    loss: Callable[..., Tensor],
    model: Callable[[dict[str, Tensor]], Any],
) -> Problem:
    """Return the problem of a network on inputs and targets.

    network: a name of `NETWORKS`. options: arguments of the network. loss: of outputs
    and targets, the mean over the rows of a batch, () or (M,) for a stack. model: the
    model of the family with these weights.
    """
    n, pairs_at_least = len(train[0]), bool(options.get("batch_norm", False))
    _check_batches(config, n, pairs_at_least=pairs_at_least)

    def turns(made: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        x, *targets = gather(train, index)
        x = disturbed(config, as_float(x), context.draw)
        found = loss(made(arranged(x, network), context.draw), *targets)
        yield Turn({"loss": found}, loss=found, size=index.shape[-1])

    def loss_of(made: Any, x: Tensor, *targets: Tensor) -> Tensor:
        return loss(made(arranged(as_float(x), network), None), *targets)

    return Problem(
        network=lambda g: NETWORKS[network](**options, generator=g),
        batches=partial(
            _batches,
            n=n,
            sizes=batch_sizes(n, config.batch_size, pairs_at_least=pairs_at_least),
        ),
        turns=turns,
        optimizer=OPTIMIZERS[config.optimizer],
        model=lambda weights, _: model(weights),
        metrics=frozenset({"objective"}),
        validate=None if valid is None else partial(_mean_loss, valid, loss_of),
        patience=config.patience,
        schedule=config.schedule,
        clip=config.clip,
        average_from=config.average_from,
        l1=config.l1,
        l2=config.l2,
        max_norm=config.max_norm,
        weight_noise=config.weight_noise,
    )


def _batches(draw: Draw, *, n: int, sizes: list[int]) -> Sequence[Tensor]:
    """Return the rows of each batch, (B,), or (M, B) for a stack, in random order."""
    orders = [torch.randperm(n, generator=each) for each in draw.generators]
    order = torch.stack(orders) if draw.stacked else orders[0]
    return order.to(device()).split(sizes, dim=-1)


def _mean_loss(rows: Rows, loss_of: Callable[..., Tensor], made: Any) -> float:
    """Return the mean loss of rows, computed in chunks; loss_of: of a network, inputs
    and targets.
    """
    n, total = len(rows[0]), 0.0
    for part in chunks(n, rows_at_once(rows[0].shape[1:])):
        some = [each[part] for each in rows]
        total += loss_of(made, *some).item() * (len(some[0]) / n)
    return total


def batch_sizes(n: int, batch_size: int, *, pairs_at_least: bool) -> list[int]:
    """Return the sizes of the batches of n rows.

    pairs_at_least: a last batch of one row is joined to the one before, because
    batch normalisation has no variance of a single row.
    """
    sizes = [batch_size] * (n // batch_size)
    rest = n % batch_size
    if rest == 1 and sizes and pairs_at_least:
        return [*sizes[:-1], batch_size + 1]
    return [*sizes, rest] if rest else sizes


def _check_batches(config: TrainingConfig, n: int, *, pairs_at_least: bool) -> None:
    """Raise ValueError if every batch of a network with batch norm is one row."""
    if pairs_at_least and min(config.batch_size, n) < 2:
        raise ValueError(
            "batch_norm: needs batches of at least two rows, got batch_size "
            f"{config.batch_size} and {n} training rows; raise batch_size or set "
            "batch_norm: false"
        )


def disturbed(config: TrainingConfig, x: Tensor, draw: Draw) -> Tensor:
    """Return inputs with the random shift and noise of training.

    Raises ValueError for a shift of features.
    """
    if shift := getattr(config, "shift", 0):
        if x.ndim < 4:
            raise ValueError("shift: moves images, these are features")
        x = moved(x, shift, draw)
    if config.input_noise:
        x = x + config.input_noise * draw.normal(x)
    return x


def make_model(
    network: str,
    options: Mapping[str, object],
    inputs: Inputs,
    weights: dict[str, Tensor],
) -> Model:
    """Return the model of a classification network."""
    return Model(network, options, weights, inputs.shape, inputs.scaling)


def classification(
    config: ClassifierConfig,
    data: Splits[Images | Table],
    network: str,
    options: Callable[[Inputs, int], Mapping[str, object]],
    *,
    model: Callable[..., Any] = make_model,
    class_weight: ClassWeight = None,
) -> Problem:
    """Return the problem of classification by cross-entropy.

    options: of the network, from the inputs and the number of classes. model: makes the
    model, as `make_model` does. class_weight: of the training rows, which also weights
    validation rows.
    """
    block = data.train
    inputs = inputs_of(block)
    made = dict(options(inputs, len(block.classes)))

    return supervised_problem(
        config,
        train=rows_of(block, inputs),
        valid=None if data.valid is None else rows_of(data.valid, inputs),
        network=network,
        options=made,
        loss=partial(
            cross_entropy,
            label_smoothing=config.label_smoothing,
            weights=_class_weights(block, class_weight),
        ),
        model=partial(model, network, made, inputs),
    )


def _class_weights(block: Table | Images, class_weight: ClassWeight) -> Tensor | None:
    """Return the weight of each class (k,), 0 for one without rows; None for 1."""
    each = sample_weights(block.y, class_weight)
    if each is None:
        return None
    weights = torch.zeros(len(block.classes))
    weights[torch.from_numpy(block.y)] = torch.from_numpy(each).float()
    return weights.to(device())


def cross_entropy(
    logits: Tensor,
    y: Tensor,
    *,
    label_smoothing: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the mean loss, () or (M,), of logits (..., B, k) and classes (..., B).

    weights: (k,), by which the loss of a row is multiplied, by its class.
    """
    # torch expects the classes at axis 1, also for a stack.
    each = F.cross_entropy(
        logits.movedim(-1, 1), y, reduction="none", label_smoothing=label_smoothing
    )
    if weights is not None:
        each = each * weights[y]
    return each.mean(dim=-1)


def rows_of(block: Table | Images, inputs: Inputs) -> Rows:
    """Return the inputs (n, ...) and the classes (n,) on the device."""
    y = torch.tensor(block.y, device=device())
    return inputs.tensor(block.X).to(device()), y


def gather(rows: Rows, index: Tensor) -> Rows:
    """Return the rows at these indices, (B, ...), or (M, B, ...) for index (M, B)."""
    if index.ndim == 1:
        return tuple(each.index_select(0, index) for each in rows)
    flat = index.flatten()
    return tuple(
        each.index_select(0, flat).unflatten(0, tuple(index.shape)) for each in rows
    )


def moved(x: Tensor, shift: int, draw: Draw) -> Tensor:
    """Return images (..., C, H, W) moved by up to `shift` pixels, filled with black."""
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
