"""Negative samples have probabilities in proportion to count^(3/4), which sum to one.

    p_n(w) = count_w^a / sum_v count_v^a,   a = 3/4

The notes damp by a factor, p_n = a p (mistake 40), which sums to 3/4 and leaves the
ratios of words as they are. Six words with counts of 1 to 100,000. The measured value
is the probability that the family's tables give to the most frequent word, all their
entries added up; the value in the source is 3/4 of its frequency in the text.

Source: Deep learning cheat sheet, section 15.1.1, negative sampling distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.families.embedding._matrix import alias_table
from ftml.families.embedding.skipgram import Config
from ftml.plots import new_figure

MISTAKES = (40,)

COUNTS = 10.0 ** np.arange(6)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the probability of the most frequent word; nothing is random."""
    a = Config().noise_exponent
    drawn = probabilities(alias_table(COUNTS**a))
    expected = COUNTS**0.75 / np.sum(COUNTS**0.75)
    printed = 0.75 * COUNTS / COUNTS.sum()
    columns = {"count": COUNTS, "sampled": drawn, "count^(3/4)": expected}
    return Evidence(
        expected=float(expected[-1]),
        measured=float(drawn[-1]),
        tolerance=1e-8,
        value_in_source=float(printed[-1]),
        table=pd.DataFrame(columns | {"value in source": printed}),
        figure=lambda: shares(drawn, printed),
    )


def probabilities(table: np.ndarray) -> np.ndarray:
    """Return how probable each word (V,) is by an alias table (V, 3).

    An entry is chosen uniformly. It represents its second number with the probability
    given by its first, and its third number otherwise.
    """
    V = len(table)
    below = (table[:, 0].astype(float) + 1) / 2**32
    found = np.zeros(V)
    np.add.at(found, table[:, 1], below / V)
    np.add.at(found, table[:, 2], (1 - below) / V)
    return found


def shares(drawn: np.ndarray, printed: np.ndarray) -> Figure:
    """Plot how often each word is noise, beside its frequency in the text."""
    figure, axes = new_figure()
    axes.plot(COUNTS, COUNTS / COUNTS.sum(), "o:", label="fraction of the text")
    axes.plot(COUNTS, drawn, "o-", label="sampled by the family: count^(3/4)")
    axes.plot(COUNTS, printed, "x:", color="black", label="3/4 of it in the notes")
    axes.set(xscale="log", yscale="log", xlabel="count of the word")
    axes.set(ylabel="probability")
    axes.legend()
    return figure
