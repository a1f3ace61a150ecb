"""k-means++: the rows that k-means begins with, far from each other.

Axes: n rows, d columns, R members (sets of centres).

Source: Arthur and Vassilvitskii (2007), "k-means++".
"""

from __future__ import annotations

import numpy as np

from ftml.compiled import compiled
from ftml.families.clustering._assignment import CLOSE, squared_distance


def plus_plus(
    X: np.ndarray, ks: np.ndarray, generators: list[np.random.Generator]
) -> list[np.ndarray]:
    """Return k rows of X (n, d) for each member, far from each other: k-means++.

    The first is chosen uniformly, each further one with probability in proportion to
    the squared distance from those already chosen; of 2 + log k candidates the one with
    the lowest inertia is kept. ks: (R,) centres of each member. If all rows are centres
    already, the choice is uniform.
    """
    chosen = [[int(rng.integers(len(X)))] for rng in generators]
    norms = np.einsum("nd,nd->n", X, X)
    closest = _squared(X, norms, np.array([each[0] for each in chosen]))
    for step in range(1, int(ks.max())):
        alive = np.flatnonzero(ks > step)
        draws = [2 + int(np.log(ks[r])) for r in alive]
        rows = [
            _weighted_choice(closest[r], generators[r], n=n)
            for r, n in zip(alive, draws, strict=True)
        ]
        distance = _squared(X, norms, np.concatenate(rows))
        first = 0
        for r, mine in zip(alive, rows, strict=True):
            options = np.minimum(distance[first : first + len(mine)], closest[r])
            best = int(options.sum(axis=1).argmin())
            closest[r] = options[best]
            chosen[r].append(int(mine[best]))
            first += len(mine)
    return [X[each] for each in chosen]


def _squared(X: np.ndarray, norms: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the squared distances (len(rows), n) of some rows from all."""
    squared = -2.0 * (X[rows] @ X.T)
    squared += norms
    squared += norms[rows, None]
    _recompute_close(X, norms, rows, squared)
    squared[np.arange(len(rows)), rows] = 0.0
    return np.maximum(squared, 0.0, out=squared)


@compiled
def _recompute_close(
    X: np.ndarray, norms: np.ndarray, rows: np.ndarray, squared: np.ndarray
) -> None:
    """Write the squared distances (len(rows), n) of which rounding may leave little."""
    for a in range(len(rows)):
        for i in range(len(X)):
            if squared[a, i] <= CLOSE * (norms[i] + norms[rows[a]]):
                squared[a, i] = squared_distance(X[i], X[rows[a]])


def _weighted_choice(
    weight: np.ndarray, rng: np.random.Generator, *, n: int
) -> np.ndarray:
    """Return n random indices with probabilities in proportion to the weights, uniform
    if all are 0.
    """
    total = np.cumsum(weight)
    if total[-1] <= 0:
        return rng.integers(len(weight), size=n)
    found = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    return np.minimum(found, len(weight) - 1)
