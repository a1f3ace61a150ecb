"""Connectionist temporal classification: each time predicts a symbol or a blank.

    P(y | x) = sum over alignments with B(path) = y of prod_t P(path_t | x)

A bidirectional LSTM reads the source and gives `n_outputs` distributions over the
target's symbols and a blank for each symbol read; B drops repeats, then blanks. There
is no decoder and no teacher forcing: given x, the symbols of different times are
independent, and a target is never longer than the times allow. `ftml/nn/ctc.py` has the
sums.

Source: Deep learning cheat sheet, section 16.3 (by name); Graves et al. 2006,
"Connectionist temporal classification".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ftml.core import State, Step
from ftml.data import Pairs, Splits
from ftml.data.ragged import Ragged, check_vocabulary
from ftml.families.sequence._training import TrainingConfig, length_problem
from ftml.families.text import ngram_lm
from ftml.nn.ctc import LanguageModel, beam, ctc_loss, greedy, times_needed
from ftml.nn.inputs import tensor
from ftml.nn.layers import Draw
from ftml.nn.prediction import chunk_size, chunks_by_length, loaded
from ftml.nn.sequence_networks import CTCNetwork
from ftml.training import run

TASK = "transduction"
CHUNK = 256
"Sources that are read at once, unless they are long or the vocabulary is large."


class Config(TrainingConfig):
    dimension: Annotated[int, Field(ge=1)] = 64
    "dimension of a symbol's vector"

    units: Annotated[int, Field(ge=1)] = 64
    "of a layer, in each direction"

    n_layers: Annotated[int, Field(ge=1)] = 1
    "layers, each given the states of the one below"

    n_outputs: Annotated[int, Field(ge=1)] = 2
    "output times for each symbol read"

    too_long: Literal["refuse", "leave_out"] = "refuse"
    "what happens to training targets that take more times than there are"

    beam_width: Annotated[int, Field(ge=1)] = 1
    "targets that the prefix beam keeps; 1 takes the likeliest path without one"

    language_order: Annotated[int, Field(ge=1, le=9)] | None = None
    "n-grams of the training targets that count in the beam; none by default"

    language_weight: Annotated[float, Field(ge=0)] = 0.3
    "of their log-probability"

    n_epochs: Annotated[int, Field(ge=1)] = 20
    "passes over the pairs"

    batch_size: Annotated[int, Field(ge=1)] = 64
    "pairs of an update, with sources of nearly the same length"


@dataclass(frozen=True)
class Model:
    options: Mapping[str, Any]
    beam_width: int
    language: dict[str, Any] | None
    "the fields of an n-gram model of the targets"

    language_weight: float
    source_symbols: tuple[str, ...]
    target_symbols: tuple[str, ...]
    weights: dict[str, Tensor]

    def log_probs(self, X: Ragged) -> list[np.ndarray]:
        """Return log P of each symbol and the blank at each time, (T, V + 1) each."""
        found = dict(self._log_probs(X))
        return [found[i] for i in range(len(X))]

    def _log_probs(self, X: Ragged) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each source and its log P, (T, V + 1), those of a chunk at a time."""
        check_vocabulary(X.vocabulary, self.source_symbols, what="sources")
        network, where = loaded(CTCNetwork(**self.options), self.weights)
        times = self.options["n_outputs"] * X.lengths
        width = int(times.max(initial=1)) * (len(self.target_symbols) + 1)
        for index in chunks_by_length(X.lengths, chunk_size(width, CHUNK)):
            x, mask = (tensor(each, where) for each in X.padded(index))
            with torch.inference_mode():
                rows = network(x, mask).double().log_softmax(dim=2).cpu().numpy()
            for i, row in zip(index.tolist(), rows, strict=True):
                yield i, row[: times[i]]

    def decode(self, X: Ragged) -> list[np.ndarray]:
        """Return the target of each source, (U,) each, by the path or by the beam.

        Raises ValueError for sources of other symbols than the model's.
        """
        options: Any = {
            "language_model": language_of(self.language),
            "weight": self.language_weight,
        }

        def target(rows: np.ndarray) -> np.ndarray:
            if self.beam_width == 1:
                return greedy(rows)
            return np.array(beam(rows, self.beam_width, **options)[0][0], np.int64)

        found = {i: target(rows) for i, rows in self._log_probs(X)}
        return [found[i] for i in range(len(X))]


def language_of(fields: Mapping[str, Any] | None) -> LanguageModel | None:
    """Return log P(next | those before) of an n-gram model, with a cache."""
    if fields is None:
        return None
    model, known = ngram_lm.Model(**fields), dict[tuple[int, ...], float]()
    end = len(model.vocabulary)

    def log_prob(y: tuple[int, ...], v: int) -> float:
        history = [end] * (model.order - 1) + list(y)
        gram = (*history[len(history) - model.order + 1 :], end if v < 0 else v)
        if gram not in known:
            known[gram] = float(np.log(model.probability(np.array([gram]))[0]))
        return known[gram]

    return log_prob


def train(
    config: Config, data: Splits[Pairs], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch.

    Raises ValueError for a target that takes more times than there are, unless such
    are left out, and where none is left.
    """
    block = possible(data.train, config)
    X, Y = block.X, block.Y
    options: dict[str, Any] = {
        "n_source": len(block.source_symbols),
        "n_target": len(block.target_symbols),
        "d": config.dimension,
        "units": config.units,
        "n_layers": config.n_layers,
        "n_outputs": config.n_outputs,
        "dropout": config.dropout,
    }
    language = None
    if config.language_order is not None:
        grams = ngram_lm.Config(order=config.language_order)
        language = vars(ngram_lm.count(grams, Y))

    def loss(network: Any, index: np.ndarray, draw: Draw | None) -> tuple[Tensor, int]:
        x, mask = (tensor(each) for each in X.padded(index))
        targets, inside = (tensor(each) for each in Y.padded(index))
        rows = network(x, mask, draw).log_softmax(dim=2)
        times = config.n_outputs * mask.sum(dim=1)
        found = ctc_loss(rows, targets, times, inside.sum(dim=1))
        return found.sum(), int(Y.lengths[index].sum())

    problem = length_problem(
        config,
        X.lengths,
        lambda generator: CTCNetwork(**options, generator=generator),
        loss,
        partial(
            Model,
            options,
            config.beam_width,
            language,
            config.language_weight,
            block.source_symbols,
            block.target_symbols,
        ),
    )
    yield from run(config, problem, state)


def possible(block: Pairs, config: Config) -> Pairs:
    """Return the pairs whose targets have times enough; ValueError as `train` says."""
    needed = np.array([times_needed(block.Y[i]) for i in range(len(block))])
    there = config.n_outputs * block.X.lengths
    late = np.flatnonzero(needed > there)
    if len(late) and config.too_long == "refuse":
        i = late[0]
        raise ValueError(
            f"target {i} ({len(late)} of {len(block)} are such) needs {needed[i]} "
            f"times, its source gives {there[i]}: raise n_outputs, or leave it out by "
            "too_long"
        )
    if len(late) == len(block):
        raise ValueError("no target has times enough: raise n_outputs")
    return block.rows(needed <= there)
