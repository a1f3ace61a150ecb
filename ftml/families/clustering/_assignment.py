"""Assignment of rows to their nearest centres, for many sets of centres in one pass.

Axes: n rows, d columns, R members (sets of centres), M centres of all members, one set
after the other; `sizes` (R,) says how many each has.

Rows are processed in blocks that stay in a core's cache until they are added to their
centres' sums, so rows are read from memory once, however many members there are. On a
GPU the same computation is one product of whole tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ftml.compiled import compiled_fast

if TYPE_CHECKING:
    import torch

CACHE = 50_000
"Size of a block of rows in values: 400 kilobytes."

SCORES = 2**22
"Products of rows and centres that are computed at once: 32 megabytes."


class Assignment(NamedTuple):
    """The nearest centre of each row, and the sum of the rows of each centre."""

    labels: np.ndarray
    "(R, n): index among the member's own centres, the first of equally near ones"

    distance: np.ndarray
    "(R, n): squared distance to that centre"

    sums: np.ndarray
    "(M, d): sum of the rows of each centre"

    counts: np.ndarray
    "(M,): the number of rows of each centre"


def assign(X: np.ndarray, centers: np.ndarray, sizes: np.ndarray) -> Assignment:
    """Return the assignment of rows X (n, d) to the centres (M, d) of R members."""
    (n, d), R = X.shape, len(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    labels, distance = np.empty((R, n), np.int64), np.empty((R, n))
    sums, counts = np.zeros_like(centers), np.zeros(len(centers))
    half = 0.5 * np.einsum("md,md->m", centers, centers)
    at_once = max(16, min(CACHE // d, SCORES // len(centers)))
    for first in range(0, n, at_once):
        part = slice(first, first + at_once)
        scores = X[part] @ centers.T
        _collect(
            X[part],
            scores,
            half,
            starts,
            labels[:, part],
            distance[:, part],
            sums,
            counts,
        )
    return Assignment(labels, distance, sums, counts)


@compiled_fast
def _collect(
    X: np.ndarray,
    scores: np.ndarray,
    half: np.ndarray,
    starts: np.ndarray,
    labels: np.ndarray,
    distance: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Write labels and distances of rows X (c, d), and add the rows to the sums.

    scores: (c, M), the products of rows and centres. |x - c|^2 is |x|^2 - 2 x'c +
    |c|^2; half of the last is `half` (M,).
    """
    for i in range(len(X)):
        length = 0.0
        for j in range(X.shape[1]):
            length += X[i, j] * X[i, j]
        for r in range(len(labels)):
            best = starts[r]
            least = half[best] - scores[i, best]
            for m in range(starts[r] + 1, starts[r + 1]):
                value = half[m] - scores[i, m]
                if value < least:
                    best, least = m, value
            labels[r, i] = best - starts[r]
            distance[r, i] = max(0.0, length + 2.0 * least)
            counts[best] += 1.0
            for j in range(X.shape[1]):
                sums[best, j] += X[i, j]


def assign_tensors(
    X: torch.Tensor, centers: torch.Tensor, sizes: np.ndarray
) -> Assignment:
    """Return what `assign` does, for tensors on one device; it returns NumPy arrays."""
    import torch

    of_center = (centers**2).sum(dim=1)
    squared = (X**2).sum(dim=1, keepdim=True) - 2.0 * X @ centers.T + of_center
    labels, distance, member = [], [], torch.zeros_like(squared)
    for first, part in zip(
        np.cumsum(sizes) - sizes, squared.split(sizes.tolist(), dim=1), strict=True
    ):
        least, nearest = part.min(dim=1)
        labels.append(nearest)
        distance.append(least.clamp(min=0.0))
        member.scatter_(1, nearest[:, None] + int(first), 1.0)
    return Assignment(
        torch.stack(labels).cpu().numpy(),
        torch.stack(distance).cpu().numpy(),
        (member.T @ X).cpu().numpy(),
        member.sum(dim=0).cpu().numpy(),
    )


class Rows:
    """Rows that are assigned repeatedly; they stay on the GPU, if there is one."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.tensor = on_gpu(X)

    def assign(self, centers: np.ndarray, sizes: np.ndarray) -> Assignment:
        if self.tensor is None:
            return assign(self.X, centers, sizes)
        import torch

        there = torch.from_numpy(centers).to(self.tensor.device)
        return assign_tensors(self.tensor, there, sizes)


def on_gpu(X: np.ndarray) -> torch.Tensor | None:
    """Return the rows on the GPU that Ray assigned; None if there is none."""
    import torch

    from ftml.core import device

    there = device()
    return None if there.type == "cpu" else torch.from_numpy(X).to(there)


def filled(assignment: Assignment, X: np.ndarray, sizes: np.ndarray) -> Assignment:
    """Return the assignment in which each empty centre is given one row.

    It is the row farthest from its own centre, unless that is at distance 0 or alone
    there; a centre for which no row is left stays empty. scikit-learn does the same.
    """
    starts = np.cumsum(sizes) - sizes
    if assignment.counts.all():
        return assignment
    labels, distance, sums, counts = (each.copy() for each in assignment)
    for r in np.unique(np.repeat(np.arange(len(sizes)), sizes)[counts == 0]):
        own = slice(starts[r], starts[r] + sizes[r])
        empty = np.flatnonzero(counts[own] == 0)
        far = iter(np.argsort(-distance[r], kind="stable"))
        for j in empty:
            for i in far:
                left = starts[r] + labels[r, i]
                if distance[r, i] > 0 and counts[left] > 1:
                    sums[left] -= X[i]
                    counts[left] -= 1
                    sums[starts[r] + j], counts[starts[r] + j] = X[i], 1
                    labels[r, i], distance[r, i] = j, 0.0
                    break
    return Assignment(labels, distance, sums, counts)


def plus_plus(
    X: np.ndarray, ks: np.ndarray, generators: list[np.random.Generator]
) -> list[np.ndarray]:
    """Return k rows of X (n, d) for each member, far from each other: k-means++.

    The first is chosen uniformly, each further one with probability in proportion to
    the squared distance from those already chosen; of 2 + log k candidates the one with
    the lowest inertia is kept. ks: (R,) centres of each member. If all rows are centres
    already, the choice is uniform.

    Source: Arthur and Vassilvitskii (2007), "k-means++".
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
    squared[np.arange(len(rows)), rows] = 0.0
    return np.maximum(squared, 0.0, out=squared)


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
