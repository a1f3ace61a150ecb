"""Kneser-Ney gives the discounted mass to the shorter history, so it sums to one.

    P(w | h) = max(c(h w) - D, 0) / c(h) + D N(h .) / c(h) P(w | h')

The measured value is the largest gap from 1 of the sum over the eight words and the
end, after every history of two words or boundaries, seen or not; add-k is in the table.

Source: Deep learning cheat sheet, section 15.2, Markov assumption; Kneser and Ney 1995.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from ftml.claims.text._corpus import V, random_text
from ftml.core import fit
from ftml.evidence import Budget, Evidence
from ftml.families.text import ngram_lm


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a sum from 1."""
    data = random_text(seed)
    histories = list(product(range(V + 1), repeat=2))
    grams = np.array([(*h, w) for h in histories for w in range(V + 1)])
    gaps = {}
    for smoothing in ("kneser_ney", "add_k"):
        config = ngram_lm.Config.model_validate({"smoothing": smoothing, "order": 3})
        p = fit(config, data).model.probability(grams)
        gaps[smoothing] = float(np.abs(p.reshape(-1, V + 1).sum(axis=1) - 1).max())
    return Evidence(
        expected=0.0,
        measured=gaps["kneser_ney"],
        tolerance=1e-12,
        table=pd.DataFrame(gaps.items(), columns=["smoothing", "largest gap"]),
    )
