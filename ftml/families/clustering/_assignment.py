"""Assignment of rows to their nearest centres, for many sets of centres in one pass.

Axes: n rows, d columns, R members (sets of centres), M centres of all members, one set
after the other; `sizes` (R,) says how many each has.

|x - c|^2 is computed as |x|^2 - 2 x'c + |c|^2, a product of matrices. Its rounding is
relative to |x|^2: distances that it may change, and choices between centres that it may
decide, are computed from the differences x - c.

Rows are processed in blocks that stay in a core's cache until they are added to their
centres' sums, so rows are read from memory once, however many members there are. On a
GPU the same computation is one product of whole tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ftml.compiled import compiled, compiled_fast

if TYPE_CHECKING:
    import torch

CACHE = 50_000
"Size of a block of rows in values: 400 kilobytes."

SCORES = 2**22
"Products of rows and centres that are computed at once: 32 megabytes."

CLOSE = 1e-8
"Fraction of |x|^2 + |c|^2 below which a squared distance is computed from x - c."

EPS = float(np.finfo(float).eps)

FAR, SAMPLE = 1e6, 1000
"""How many times the spread of the rows the squared distance of mean and median is
where the median is the middle, and the number of rows that decide it."""


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


def middle_of(X: np.ndarray) -> np.ndarray:
    """Return the point (d,) that is subtracted from rows X (n, d) before distances are
    computed: the mean, or the median where a few values far out move the mean so far
    away from all other rows that their digits would be lost.
    """
    mean: np.ndarray = X.mean(axis=0)
    sample = X[:: max(1, len(X) // SAMPLE)]
    middle = (len(sample) - 1) // 2
    median: np.ndarray = np.partition(sample, middle, axis=0)[middle]
    with np.errstate(over="ignore"):
        away = np.sum((sample - median) ** 2, axis=1)
        apart = np.sum((mean - median) ** 2)
    away = np.sort(away[away > 0])
    return median if len(away) and apart > FAR * away[len(away) // 10] else mean


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
            centers,
            scores,
            half,
            starts,
            labels[:, part],
            distance[:, part],
            sums,
            counts,
        )
    return Assignment(labels, distance, sums, counts)


@compiled
def squared_distance(x: np.ndarray, c: np.ndarray) -> float:
    """Return |x - c|^2 from the differences."""
    total = 0.0
    for j in range(len(x)):
        total += (x[j] - c[j]) ** 2
    return total


@compiled
def _nearest(
    x: np.ndarray, centers: np.ndarray, values: np.ndarray, bound: float
) -> int:
    """Return the first of the centres (k, d) nearest to x (d,), by differences.

    values: (k,), half of the squared distances, less the same for all. Centres whose
    value is above the bound are left out.
    """
    best, nearest = 0, np.inf
    for m in range(len(centers)):
        if values[m] <= bound:
            distance = squared_distance(x, centers[m])
            if distance < nearest:
                best, nearest = m, distance
    return best


@compiled_fast
def _collect(
    X: np.ndarray,
    centers: np.ndarray,
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
    rounding = 2.0 * (16 + X.shape[1]) * EPS
    largest = np.max(half)
    for i in range(len(X)):
        length = 0.0
        for j in range(X.shape[1]):
            length += X[i, j] * X[i, j]
        margin = rounding * (length + 2.0 * largest)
        for r in range(len(labels)):
            best = starts[r]
            least = half[best] - scores[i, best]
            for m in range(starts[r] + 1, starts[r + 1]):
                value = half[m] - scores[i, m]
                if value < least:
                    best, least = m, value
            close = 0
            for m in range(starts[r], starts[r + 1]):
                close += half[m] - scores[i, m] <= least + margin
            if close > 1:
                own = slice(starts[r], starts[r + 1])
                values = half[own] - scores[i, own]
                best = starts[r] + _nearest(X[i], centers[own], values, least + margin)
                least = half[best] - scores[i, best]
            labels[r, i] = best - starts[r]
            found = length + 2.0 * least
            if found <= CLOSE * (length + 2.0 * half[best]):
                found = squared_distance(X[i], centers[best])
            distance[r, i] = found
            counts[best] += 1.0
            for j in range(X.shape[1]):
                sums[best, j] += X[i, j]


def assign_tensors(
    X: torch.Tensor, centers: torch.Tensor, sizes: np.ndarray
) -> Assignment:
    """Return what `assign` does, for tensors on one device; it returns NumPy arrays."""
    import torch

    of_center, of_row = (centers**2).sum(dim=1), (X**2).sum(dim=1, keepdim=True)
    squared = of_row - 2.0 * X @ centers.T + of_center
    labels, distance, member = [], [], torch.zeros_like(squared)
    for first, part in zip(
        np.cumsum(sizes) - sizes, squared.split(sizes.tolist(), dim=1), strict=True
    ):
        own = slice(int(first), int(first) + part.shape[1])
        _recompute(part, X, centers[own], of_row + of_center[own])
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


def _recompute(
    squared: torch.Tensor, X: torch.Tensor, centers: torch.Tensor, bound: torch.Tensor
) -> None:
    """Write the squared distances (n, k) that rounding may decide or change, computed
    from differences. bound: (n, k), |x|^2 + |c|^2.
    """
    import torch

    rounding = (16 + X.shape[1]) * EPS * bound
    may_be = squared - rounding <= (squared + rounding).amin(dim=1, keepdim=True)
    close = may_be & (may_be.sum(dim=1, keepdim=True) > 1)
    close |= may_be & (squared <= CLOSE * bound)
    for some in torch.nonzero(close).split(max(1, SCORES // X.shape[1])):
        rows, own = some[:, 0], some[:, 1]
        squared[rows, own] = ((X[rows] - centers[own]) ** 2).sum(dim=1)


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
