"""A word that follows one word alone is rare after others, however often it occurs.

    P(w) = N(. w) / sum_v N(. v)  below the longest history, N(. w) the words before w

"Francisco" occurs as often as "house", but only after "San". After a word that neither
has followed, Kneser-Ney compares the numbers of words before them, 1 and 6, each less
the discount of one half: by counts alone both would be as probable. The measured value
is the ratio of the two probabilities, without the part of the uniform distribution; the
expected value is 0.5 / 5.5.

Source: Deep learning cheat sheet, section 15.2; Kneser and Ney 1995.
"""

from __future__ import annotations

import numpy as np

from ftml.core import fit
from ftml.data import Sequences
from ftml.data.ragged import encoded
from ftml.evidence import Budget, Evidence
from ftml.families.text import ngram_lm

BEFORE = ("a", "the", "my", "your", "this", "that")
TIMES = 12


def check(seed: int, budget: Budget) -> Evidence:
    """Return the probability of "Francisco" relative to that of "house"; nothing is
    random.
    """
    sentences = [["San", "Francisco"]] * TIMES
    sentences += [[word, "house"] for word in BEFORE] * (TIMES // len(BEFORE))
    sentences += [["green", "trees"], ["trees"], ["trees"]]
    vocabulary = tuple(sorted({word for each in sentences for word in each}))
    X = encoded(sentences, vocabulary)
    data = Sequences(X.values, X.offsets, vocabulary=vocabulary)
    config = ngram_lm.Config(order=2, discount=0.5)
    model = fit(config, data).model
    number = {word: i for i, word in enumerate(vocabulary)}
    pairs = [(number["green"], number[w]) for w in ("Francisco", "house")]
    shares = model.probability(np.array(pairs)) - uniform_part(model)
    # A discount of one half leaves N(. w) - 1/2 of each count of predecessors.
    expected = (1 - 0.5) / (len(BEFORE) - 0.5)
    return Evidence(
        expected=expected, measured=float(shares[0] / shares[1]), tolerance=1e-12
    )


def uniform_part(model: ngram_lm.Model) -> float:
    """Return what the uniform distribution at the bottom adds after "green"."""
    V1 = len(model.vocabulary) + 1
    green = model.nodes[1] == model.vocabulary.index("green")
    rests = [
        model.discounts[length] * kinds / total
        for length, kinds, total in (
            (0, model.kinds[0][0], model.totals[0][0]),
            (1, model.kinds[1][green][0], model.totals[1][green][0]),
        )
    ]
    return float(np.prod(rests) / V1)
