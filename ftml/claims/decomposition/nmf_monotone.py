"""Steps of non-negative factorisation never raise its error, and end where none helps.

    min (1/2) |X - C H|^2,  C, H >= 0:   min(C, dC) = 0,  min(H, dH) = 0  at the end

dC = (C H - X) H' is the gradient: if an entry is above 0, the gradient is 0, elsewhere
not below 0. Thirty random rows that are such a product with noise. The measured value
is the larger of the largest rise of the objective, relative to it, and of the largest
entry of the two minima at the end, relative to the largest value of X.

Source: Deep learning cheat sheet, section 17.4.3, dimensionality reduction.
"""

from __future__ import annotations

import numpy as np

from ftml.data import Splits, Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import nmf


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest rise, or what is left at the end."""
    rng = np.random.default_rng(seed)
    X = rng.exponential(size=(30, 3)) @ rng.exponential(size=(3, 8))
    X += 0.1 * rng.exponential(size=X.shape)
    config = nmf.Config(seed=seed, n_components=3, n_iterations=20_000, tolerance=1e-12)
    steps = list(nmf.train(config, Splits(Table(X))))
    values = np.array([step.state["objective"] for step in steps])
    C, H = steps[-1].state["code"], steps[-1].state["H"]
    apart = C @ H - X
    left = [np.minimum(C, apart @ H.T), np.minimum(H, C.T @ apart)]
    largest = max(np.abs(each).max() for each in left) / X.max()
    rise = float((np.diff(values) / values[:-1]).max())
    return Evidence(expected=0.0, measured=max(rise, float(largest)), tolerance=1e-4)
