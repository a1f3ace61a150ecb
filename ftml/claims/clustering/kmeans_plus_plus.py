"""k-means++ starts within 8 (ln k + 2) of the best inertia on average.

    E[inertia of the drawn centres] <= 8 (ln k + 2) inertia of the best

Ten random rows: eight together, two alone and far off; the best clusters are found
among all 3^9. The proof is for one sample per centre; the family keeps the best of 2 +
ln k, which it does not cover. The measured value is the mean ratio of the start's
inertia to the best. It passes between 1, which no start is below, and the bound, 24.8;
the mean of 500 samples is near 2 with a standard deviation of 0.1, so chance is
irrelevant. Uniform sampling has no bound: it misses an isolated row (in the table).

Source: FTML lecture 9, "Unsupervised learning: clustering"; Arthur and Vassilvitskii
2007.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from ftml.evidence import CHANCE, Budget, Evidence
from ftml.families.clustering._plus_plus import plus_plus

N, K = 10, 3
BOUND = 8 * (np.log(K) + 2)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean ratio of a start to the best inertia."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 2))
    X[-2] += [60.0, 0.0]
    X[-1] += [0.0, 60.0]
    best = best_inertia(X)

    def ratios(rng: np.random.Generator, n: int) -> np.ndarray:
        starts = plus_plus(X, np.full(n, K), rng.spawn(n))
        uniform = [X[rng.permutation(N)[:K]] for _ in range(n)]
        found = [[inertia(X, c) / best for c in each] for each in (starts, uniform)]
        return np.array(found).T

    draws = budget.draw(ratios, seed=seed, n=500)
    means = draws.mean(axis=0)
    return Evidence(
        expected=float((1 + BOUND) / 2),
        measured=float(means[0]),
        tolerance=float((BOUND - 1) / 2),
        standard_error=float(draws[:, 0].std() / np.sqrt(len(draws))),
        chance=CHANCE,
        table=pd.DataFrame(
            {"start": ["k-means++", "uniform"], "mean ratio": means, "bound": BOUND}
        ),
    )


def inertia(X: np.ndarray, centres: np.ndarray) -> float:
    """Return the sum of the squared distances of X (n, d) from the nearest centres."""
    away = np.sum((X[:, None] - centres) ** 2, axis=2)
    return float(away.min(axis=1).sum())


def best_inertia(X: np.ndarray) -> float:
    """Return the least inertia of any K clusters, by looking at all."""
    labels = np.array([(0, *rest) for rest in product(range(K), repeat=N - 1)])
    total = np.full(len(labels), np.sum(X**2))
    for j in range(K):
        member = (labels == j).astype(float)
        counts = np.maximum(member.sum(axis=1), 1.0)
        total -= np.sum((member @ X) ** 2, axis=1) / counts
    return float(total.min())
