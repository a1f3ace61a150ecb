"""Skip-gram with k negatives learns the pointwise mutual information less log k.

    x_i'z_j = log(C_ij sum C / (C_i C_j)) - log k,   p_n the fraction of the text

Six words with eight dimensions, so that nothing is in the way; 80 passes over random
counts, k = 2, and the mean over the passes from the 41st, which averages out that the
last one goes around the optimum. The measured value is the mean gap over the 21 pairs,
in nats. The rarest pair is sampled about a thousand times, so that a logit has a
standard error near 0.03 and the mean gap is near 0.025, with a standard deviation of
some 0.004: the bar of 0.06 is 7 of these above it, which chance reaches with a
probability below 1e-7.

Source: Deep learning cheat sheet, section 15.1.1; Levy and Goldberg 2014, "Neural word
embedding as implicit matrix factorization".
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims.embedding._toy import dense, random_counts
from ftml.data import Splits
from ftml.evidence import CHANCE, Budget, Evidence
from ftml.families.embedding import skipgram
from ftml.plots import COLOURS, new_figure

K = 2
FIRST = 40


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean gap between products and information, in nats."""
    data = random_counts(seed, scale=50.0)
    config = skipgram.Config(
        seed=seed,
        dimension=8,
        negatives=K,
        noise_exponent=1.0,
        learning_rate=0.05,
        n_passes=80,
        noise_size=16,
    )
    steps = skipgram.train(config, Splits(data))
    found = np.mean([s.model.X @ s.model.Z.T for s in steps if s.n > FIRST], axis=0)
    C = dense(data)
    pmi = np.log(C * C.sum() / np.outer(C.sum(axis=0), C.sum(axis=0)))
    return Evidence(
        expected=0.0,
        measured=float(np.abs(found - pmi + np.log(K)).mean()),
        tolerance=0.06,
        chance=CHANCE,
        figure=lambda: pairs(pmi, found),
    )


def pairs(pmi: np.ndarray, found: np.ndarray) -> Figure:
    """Plot the learnt products over the information of the pairs."""
    figure, axes = new_figure(5.2, 4.2)
    ends = np.array([pmi.min(), pmi.max()])
    axes.plot(ends, ends - np.log(K), color=COLOURS[1], label="PMI - log 2")
    axes.scatter(pmi, found, s=16, label="a pair of words")
    axes.set(xlabel="pointwise mutual information, nats", ylabel="x_i'z_j, learnt")
    axes.legend()
    return figure
