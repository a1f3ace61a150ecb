"""How autoencoders and generative models are trained: players that take turns.

A family gives its rows, a network, and the turns of an update. Most families have one
turn, which steps all parameters; the players of adversaries each have turns of their
own. `rows_problem` makes them a `Problem` of the shared training loop.

Axes: n rows, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ftml.core import State, device
from ftml.nn.inputs import as_float
from ftml.nn.layers import Draw
from ftml.optim.optimizers import adam
from ftml.training import AdamConfig, Context, Problem, RunningMean, Turn

SHOWN, SHOWN_OF_TABLE = 12, 256
"Samples that are kept of an epoch: images, and features, which are plotted as points."
SHOWN_SEED = 0
"Of the codes that these samples are generated from."


class TrainingConfig(AdamConfig):
    """How a network is trained, by Adam."""

    batch_size: Annotated[int, Field(ge=1)] = 32
    "rows of an update; an epoch visits all rows in a random order"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "passes over the rows"


def rows_problem(
    config: TrainingConfig,
    x: Tensor,
    network: Callable[[torch.Generator | None], nn.Module],
    turns: Callable[[Any, Tensor, Draw], Iterator[Turn]],
    model: Callable[[dict[str, Tensor], State], Any],
    *,
    prepare: Callable[[Any, Tensor], None] | None = None,
    shown: Tensor | None = None,
    batches_per_update: int = 1,
    beta: float = 0.9,
) -> Problem:
    """Return the problem of a network on rows.

    x: (n, ...) on the device, pixels as uint8. network: makes the network with random
    weights. turns: of the network and a batch (B, ...); the scalars of a turn are means
    over its `size` rows. model: the model of the family, from the weights and a record
    of training: "history", the metrics of each epoch, and "snapshots". prepare: changes
    a new network in place, given x. shown: codes (or noise) on the device; what the
    network generates from them after epochs 1, 2, 4, 8, ... are the snapshots.
    batches_per_update: k batches for k turns with rows of their own. beta: decay of
    Adam's mean gradient, in [0, 1).
    """
    size = config.batch_size * batches_per_update

    def batches(draw: Draw) -> Sequence[Tensor]:
        (generator,) = draw.generators
        order = torch.randperm(len(x), generator=generator).to(device())
        return order.split(size)

    def given(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        for turn in turns(network, as_float(x.index_select(0, index)), context.draw):
            # RunningMean takes sums over the rows of a turn, not means.
            sums = {
                name: each.detach().double() * turn.size
                for name, each in turn.scalars.items()
            }
            yield replace(turn, scalars=sums)

    return Problem(
        network=network,
        batches=batches,
        turns=given,
        optimizer=partial(adam, betas=(beta, 0.999)),
        model=model,
        prepare=None if prepare is None else lambda made, _: prepare(made, x),
        record=partial(_record, shown),
        means=RunningMean,
        check_divergence=True,
        schedule=config.schedule,
        clip=config.clip,
    )


def _record(
    shown: Tensor | None,
    network: Any,
    n: int,
    metrics: Mapping[str, float],
    record: State,
) -> State:
    """Return the record with the metrics of epoch n, and a snapshot at powers of 2."""
    history = record.get("history", {})
    snapshots = record.get("snapshots", [])
    if shown is not None and not n & (n - 1):
        snapshots = [*snapshots, (n, network.decode(shown).cpu())]
    history = {key: [*history.get(key, []), value] for key, value in metrics.items()}
    return {"history": history, "snapshots": snapshots}


def shown_codes(n_code: int, *, is_images: bool) -> Tensor:
    """Return standard normal codes (SHOWN, m) on the device, independent of the
    config's seed.
    """
    generator = torch.Generator().manual_seed(SHOWN_SEED)
    size = (SHOWN if is_images else SHOWN_OF_TABLE, n_code)
    return torch.randn(size, generator=generator).to(device())
