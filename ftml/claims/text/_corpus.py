"""A random text in which a word depends on the one before it."""

from __future__ import annotations

import numpy as np

from ftml.data import Sequences
from ftml.data.ragged import of_sequences

V = 8


def random_text(seed: int, *, n: int = 120) -> Sequences:
    """Return n sentences of 1 to 12 words out of eight."""
    rng = np.random.default_rng(seed)
    follow = rng.dirichlet(np.full(V, 0.3), size=V)
    sentences = []
    for _ in range(n):
        words = [int(rng.integers(V))]
        for _ in range(int(rng.integers(12))):
            words.append(int(rng.choice(V, p=follow[words[-1]])))
        sentences.append(np.array(words))
    X = of_sequences(sentences, tuple("abcdefgh"))
    return Sequences(X.values, X.offsets, vocabulary=X.vocabulary)
