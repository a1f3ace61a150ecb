"""Perplexity is exp of the cross-entropy: no unigram model beats the counts.

    exp(-(1/N) sum log q(w)) >= exp(H(p)),  equal for q = p the shares of the text;
    a uniform q has V + 1

The family counts single words and ends with next to no smoothing. The measured value is
its perplexity on its own text, the expected value exp of the entropy of the
frequencies; an add-k of 1e9 makes it uniform, of perplexity 9 (in the table).

Source: Deep learning cheat sheet, sections 6 and 15.2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims.text._corpus import V, random_text
from ftml.core import fit
from ftml.evidence import Budget, Evidence
from ftml.families.text import ngram_lm
from ftml.plots import COLOURS, new_figure
from ftml.tasks.language_model import evaluate

SMOOTHING = (1e-9, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e9)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the perplexity of the counts on their own text."""
    data = random_text(seed)
    counts = np.append(np.bincount(data.values, minlength=V), len(data))
    share = counts[counts > 0] / counts.sum()
    found = []
    for k in SMOOTHING:
        config = ngram_lm.Config(order=1, smoothing="add_k", k=k)
        found.append(evaluate(fit(config, data).model, data)["perplexity"])
    least = float(np.exp(-np.sum(share * np.log(share))))
    return Evidence(
        expected=least,
        measured=found[0],
        tolerance=1e-6,
        table=pd.DataFrame({"add-k": SMOOTHING, "perplexity": found}),
        figure=lambda: smoothed(found, least),
    )


def smoothed(found: list[float], least: float) -> Figure:
    """Plot the perplexity over the number added to each count, and both its limits."""
    figure, axes = new_figure()
    axes.plot(SMOOTHING[1:-1], found[1:-1], marker="o", label="add-k on its own text")
    axes.axhline(least, color=COLOURS[1], linestyle="--", label="exp of the entropy")
    axes.axhline(V + 1, color="black", linestyle=":", label="uniform: V + 1")
    axes.set(xscale="log", xlabel="k, added to each count", ylabel="perplexity")
    axes.legend()
    return figure
