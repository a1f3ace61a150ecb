"""Language model: the probability of each next symbol of a sequence, and of its end.

Models have `vocabulary` and `log_prob(X) -> (N + n,)` in nats, of each symbol of each
sequence given the symbols before it, and of the end of the sequence after its last
symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.ragged import Ragged, encoded, offsets_of
from ftml.data.sequences import Sequences
from ftml.plots import new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import LanguageModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Sequences,)
METRICS = {"perplexity": "min"}


def evaluate(model: LanguageModel, split: Sequences) -> dict[str, float]:
    """Return the perplexity, exp(-mean log P(symbol | those before)), ends included.

    Raises ValueError for a split without samples, and for one with another vocabulary
    than the model's, because perplexities with different vocabularies cannot be
    compared.
    """
    check_samples(split)
    if tuple(model.vocabulary) != split.vocabulary:
        raise ValueError(
            "the vocabularies differ; score a model on the dataset it was fitted on"
        )
    return {"perplexity": float(np.exp(-model.log_prob(split.X).mean()))}


def ends(X: Ragged) -> np.ndarray:
    """Return the position of each sequence's end among the N + n log-probabilities."""
    return offsets_of(X.lengths + 1)[1:] - 1


def figures(model: LanguageModel, split: Sequences) -> dict[str, Figure]:
    """Return the perplexity of frequent and of rare symbols."""
    log_prob = np.delete(model.log_prob(split.X), ends(split.X))
    counts = np.bincount(split.values, minlength=len(split.vocabulary))
    # Not by log10, which rounds: the number of digits is exact.
    scale = np.char.str_len(counts.astype(str))[split.values] - 1
    figure, axes = new_figure()
    found = np.unique(scale)
    axes.plot(
        [f"{10**s} to {10 ** (s + 1) - 1}" for s in found],
        [np.exp(-log_prob[scale == s].mean()) for s in found],
        marker="o",
    )
    axes.set(xlabel="how often the symbol occurs in the split", yscale="log")
    axes.set_ylabel("perplexity")
    return {"perplexity_by_count": figure}


def example(split: Sequences) -> pd.DataFrame:
    """Return the first three sequences as text, in the column `sequence`."""
    first = split.rows(np.arange(min(3, len(split))))
    return pd.DataFrame({"sequence": first.X.texts()})


def serve(model: LanguageModel, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the log-probability of each text in nats, and its perplexity."""
    texts = [str(text).split() for text in frame["sequence"]]
    X = encoded(texts, tuple(model.vocabulary))
    lengths = X.lengths + 1
    total = np.add.reduceat(model.log_prob(X), offsets_of(lengths)[:-1])
    return pd.DataFrame(
        {"log_probability": total, "perplexity": np.exp(-total / lengths)}
    )
