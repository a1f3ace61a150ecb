"""Negative samples are drawn by count^(3/4), shares that sum to one.

    p_n(w) = count_w^a / sum_v count_v^a,   a = 3/4

The notes damp by a factor, p_n = a p (mistake 40), which sums to 3/4 and leaves the
ratios of words as they are. Six words with counts of 1 to 100,000. Measured is the
probability with which the family's tables draw the most frequent word, all their
entries added up; as printed it is 3/4 of its share of the text.

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
    """Return the probability of the most frequent word; nothing is drawn."""
    a = Config().noise_exponent
    drawn = probabilities(alias_table(COUNTS**a))
    expected = COUNTS**0.75 / np.sum(COUNTS**0.75)
    printed = 0.75 * COUNTS / COUNTS.sum()
    columns = {"count": COUNTS, "drawn": drawn, "count^(3/4)": expected}
    return Evidence(
        expected=float(expected[-1]),
        measured=float(drawn[-1]),
        tolerance=1e-8,
        as_printed=float(printed[-1]),
        table=pd.DataFrame(columns | {"as printed": printed}),
        figure=lambda: shares(drawn, printed),
    )


def probabilities(table: np.ndarray) -> np.ndarray:
    """Return how probable each word (V,) is by an alias table (V, 3).

    An entry is drawn evenly, and stands for its second number with the probability
    that the first one says, else for its third.
    """
    V = len(table)
    below = (table[:, 0].astype(float) + 1) / 2**32
    found = np.zeros(V)
    np.add.at(found, table[:, 1], below / V)
    np.add.at(found, table[:, 2], (1 - below) / V)
    return found


def shares(drawn: np.ndarray, printed: np.ndarray) -> Figure:
    """Draw how often each word is noise, beside its share of the text."""
    figure, axes = new_figure()
    axes.plot(COUNTS, COUNTS / COUNTS.sum(), "o:", label="share of the text")
    axes.plot(COUNTS, drawn, "o-", label="drawn by the family: count^(3/4)")
    axes.plot(COUNTS, printed, "x:", color="black", label="3/4 of it, as printed")
    axes.set(xscale="log", yscale="log", xlabel="count of the word")
    axes.set(ylabel="probability")
    axes.legend()
    return figure
