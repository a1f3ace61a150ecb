"""What the networks on texts share: initial vectors, and a figure of parameters.

Axes: V words, d dimension of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
import torch
from pydantic import Field
from torch import nn

from ftml.config import InputFile, LogUniform
from ftml.data import Sequences, Splits
from ftml.data.text import read_lines
from ftml.families.sequence._classifier import Model, classification
from ftml.families.sequence._training import TrainingConfig
from ftml.plots import new_figure
from ftml.training import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TextConfig(TrainingConfig):
    """How a network on words is made and trained."""

    dimension: Annotated[int, Field(ge=1)] = 64
    "dimension of a word's vector"

    vectors: Annotated[str | None, InputFile()] = None
    """file of vectors to begin with, in word2vec's text format, as `write_word2vec` of
    an embedding makes it; words that it lacks begin at random, as all do without it"""

    tuned: bool = True
    "learn the vectors, too; else they stay as they began"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(3e-4, 3e-3)] = 1e-3
    "step size of Adam"

    n_epochs: Annotated[int, Field(ge=1)] = 6
    "passes over the texts"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    "probability that a feature is dropped in training"


def beginning(
    config: TextConfig, vocabulary: tuple[str, ...]
) -> Callable[[nn.Module], nn.Module]:
    """Return what puts the vectors of a file into a network, and holds them if asked.

    Raises ValueError for a file of other dimensions.
    """
    rows, vectors = np.zeros(0, np.int64), np.zeros((0, config.dimension))
    if config.vectors is not None:
        rows, vectors = read_vectors(Path(config.vectors), vocabulary)
        if vectors.shape[1] != config.dimension:
            raise ValueError(
                f"{config.vectors}: vectors of {vectors.shape[1]} numbers, dimension "
                f"is {config.dimension}"
            )
    values = torch.from_numpy(vectors).float()

    def prepare(network: nn.Module) -> nn.Module:
        table = cast(nn.Embedding, network.embedding).weight
        with torch.no_grad():
            table[torch.from_numpy(rows)] = values
        table.requires_grad_(config.tuned)
        return network

    return prepare


def read_vectors(
    path: Path, vocabulary: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return which words of a vocabulary a file has, and their vectors (m, d).

    They are scaled to a mean length of 1: at first random vectors have that length,
    too. Raises ValueError for a file that is not in word2vec's text format or has none
    of the words.
    """
    number = {word: i for i, word in enumerate(vocabulary)}
    head, *lines = read_lines(path)
    try:
        _, d = map(int, head.split())
        found = {}
        for line in filter(None, lines):
            word, *numbers = line.rsplit(" ", d)
            if word in number:
                found[number[word]] = np.array(numbers, np.float64).reshape(d)
    except ValueError as error:
        raise ValueError(f"{path}: not word2vec's text format ({error})") from None
    if not found:
        raise ValueError(f"{path}: has a vector for no word of the texts")
    vectors = np.stack(list(found.values()))
    length = np.linalg.norm(vectors, axis=1).mean()
    return np.array(list(found)), vectors / (length or 1.0)


def parameters_by_part(model: Model) -> dict[str, int]:
    """Return how many parameters each part of a network has."""
    counts: dict[str, int] = {}
    for name, value in model.weights.items():
        part = name.partition(".")[0]
        counts[part] = counts.get(part, 0) + value.numel()
    return counts


def figures(
    config: TextConfig, model: Model, data: Splits[Sequences]
) -> Mapping[str, Figure]:
    """Return where the parameters are: nearly all of them in the vectors of words."""
    counts = parameters_by_part(model)
    figure, axes = new_figure(5.2, 3.2)
    bars = axes.barh(list(counts), list(counts.values()))
    total = sum(counts.values())
    axes.bar_label(bars, [f" {n:,} ({n / total:.1%})" for n in counts.values()])
    axes.margins(x=0.35)
    axes.set(xlabel="parameters")
    return {"parameters": figure}


def text_problem(config: Any, data: Sequences, network: str, **options: Any) -> Problem:
    """Return the problem of classifying texts; `options` are the network's own.

    Raises ValueError for sequences that are no texts.
    """
    if not data.vocabulary:
        raise ValueError("the network needs sequences of symbols, got numbers")
    options |= {
        "d": config.dimension,
        "widths": list(config.widths),
        "channels": config.channels,
        "dropout": config.dropout,
    }
    prepared = beginning(config, data.vocabulary)
    return classification(config, data, network, options, prepared=prepared)
