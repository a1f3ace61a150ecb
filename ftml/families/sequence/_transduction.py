"""What the families that turn a sequence into another share: training, and decoding.

Axes: n pairs, B batch, S times of a source, U symbols of a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ftml.core import State, Step
from ftml.data import Pairs, Splits
from ftml.data.ragged import Ragged, check_vocabulary, shifted
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.nn.beam_search import beam_search
from ftml.nn.inputs import tensor
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunk_size, chunks_by_length, loaded
from ftml.nn.seq2seq import EncoderDecoder, Transformer
from ftml.plots import new_figure
from ftml.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHUNK = 128
"Sources that are decoded at once, unless the beam or the vocabulary is large."

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "encoder_decoder": EncoderDecoder,
    "transformer": Transformer,
}


class TransductionConfig(TrainingConfig):
    """How a network that reads and writes is made and trained."""

    dimension: Annotated[int, Field(ge=2)] = 64
    "dimension of a symbol's vector"

    n_layers: Annotated[int, Field(ge=1)] = 1
    "layers that read, and as many that write"

    beam_width: Annotated[int, Field(ge=1)] = 1
    "beginnings that beam search keeps; 1 takes the likeliest symbol at each place"

    batch_size: Annotated[int, Field(ge=1)] = 64
    "pairs of an update, with sources of nearly the same length"

    n_epochs: Annotated[int, Field(ge=1)] = 20
    "passes over the pairs"


@dataclass(frozen=True)
class Model:
    network: str
    "a name of `NETWORKS`"

    options: Mapping[str, object]
    "what the network is made with"

    beam_width: int
    longest: int
    "symbols that a target has at most: the longest of training, and a quarter more"

    source_symbols: tuple[str, ...]
    target_symbols: tuple[str, ...]
    weights: dict[str, Tensor]

    def decode(self, X: Ragged) -> list[np.ndarray]:
        """Return the target that beam search finds for each source, (U,) each.

        Raises ValueError for sources of other symbols than the model's.
        """
        check_vocabulary(X.vocabulary, self.source_symbols, what="sources")
        network, where = made(self)
        end, found = len(self.target_symbols), {}
        size = chunk_size(self.beam_width * (end + 1), CHUNK)
        with torch.inference_mode():
            for index in chunks_by_length(X.lengths, size):
                x, mask = (tensor(each, where) for each in X.padded(index))
                written, _ = beam_search(
                    network,
                    x,
                    mask,
                    width=self.beam_width,
                    longest=self.longest,
                    end=end,
                )
                for i, row in zip(index, written.cpu().numpy(), strict=True):
                    found[i] = row[: np.argmax(np.append(row, end) == end)]
        return [found[i] for i in range(len(X))]


def made(model: Model) -> tuple[Any, torch.device]:
    """Return the network of a model with its weights, and their device."""
    return loaded(NETWORKS[model.network](**model.options), model.weights)


def train_transducer(
    config: TransductionConfig,
    data: Splits[Pairs],
    state: State | None,
    network: str,
    options: Mapping[str, object],
) -> Iterator[Step]:
    """Yield after each epoch of training to predict each next symbol of the target.

    The decoder is given the symbols of the target before it, not its own: teacher
    forcing.
    """
    block = data.train
    X, Y = block.X, block.Y
    given = {
        **options,
        "n_source": len(block.source_symbols),
        "n_target": len(block.target_symbols),
        "d": config.dimension,
        "n_layers": config.n_layers,
        "dropout": config.dropout,
    }

    def loss(made: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        x, mask = (tensor(each) for each in X.padded(index))
        read, following, inside = shifted(Y, index)
        memory, start = made.read(x, mask, draw)
        logits, _, _ = made.write(tensor(read), start, memory, draw)
        target = tensor(following[inside])
        found = logits[tensor(inside)]
        return F.cross_entropy(found, target, reduction="sum"), len(target)

    problem = length_problem(
        config,
        X.lengths,
        lambda generator: NETWORKS[network](**given, generator=generator),
        loss,
        partial(
            Model,
            network,
            given,
            config.beam_width,
            int(Y.lengths.max() * 5 // 4),
            block.source_symbols,
            block.target_symbols,
        ),
    )
    yield from run(config, problem, state)


def figures(
    config: TransductionConfig, model: Model, data: Splits[Pairs]
) -> Mapping[str, Figure]:
    """Return where the decoder looks, symbol by symbol, for the longest pair."""
    X = data.train.X
    index = np.array([int(np.argmax(X.lengths + data.train.Y.lengths))])
    (written,) = model.decode(X.rows(index))
    network, where = made(model)
    x, mask = (tensor(each, where) for each in X.padded(index))
    end = len(model.target_symbols)
    read = tensor(np.append(end, written)[None], where)
    with torch.inference_mode():
        memory, start = network.read(x, mask)
        _, share, _ = network.write(read, start, memory)
    figure, axes = new_figure(5.6, 5.0)
    axes.grid(False)
    image = axes.imshow(
        share[0].cpu().numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto"
    )
    axes.set_xticks(range(X.lengths[index[0]]), X.rows(index).texts()[0].split())
    predicted = [*(model.target_symbols[v] for v in written), "end"]
    axes.set_yticks(range(len(predicted)), predicted)
    axes.set(xlabel="source", ylabel="predicted")
    figure.colorbar(image, ax=axes, label="attention", shrink=0.8)
    return {"attention": figure}
