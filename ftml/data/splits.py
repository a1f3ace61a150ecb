"""The three parts of a dataset, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np


class Block(Protocol):
    """What every data kind can do: be joined with another block of its kind."""

    def join(self, other: Self) -> Self: ...


B = TypeVar("B", bound=Block)


@dataclass(frozen=True)
class Splits(Generic[B]):
    """Training data and, if there are any, validation and test data of the same kind.

    A family's `train` receives the first two. Only the test of the final fit uses the
    third.
    """

    train: B
    valid: B | None = None
    test: B | None = None

    def without_test(self) -> Splits[B]:
        """Return the training and validation data: what a search may see."""
        return replace(self, test=None)

    def for_final_fit(self) -> Splits[B]:
        """Return training and validation data as one training part."""
        joined = self.train if self.valid is None else self.train.join(self.valid)
        return Splits(train=joined)


def consecutive_splits(data: Any, *, n_train: int, n_valid: int) -> Splits[Any]:
    """Return the first n_train samples, the next n_valid, and the others as splits.

    data: samples of any data kind that has `rows`.
    """
    index = np.arange(len(data))
    parts = np.split(index, [n_train, n_train + n_valid])
    return Splits(*(data.rows(part) for part in parts))


def blocks_by_time(time: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Return the block (n,) of each sample, 0 for the earliest.

    In the order of time, block 0 has the first ends[0] samples, block 1 those up to
    ends[1], ..., and the last block the others. Samples of equal time are in one block,
    so each end is moved to the nearest change of time that leaves no block empty.
    time: (n,), finite. ends: increasing numbers of samples. Raises ValueError for fewer
    different times than blocks.
    """
    values, inverse, counts = np.unique(time, return_inverse=True, return_counts=True)
    if len(values) <= len(ends):
        raise ValueError(
            f"{len(ends) + 1} parts in the order of time need as many different "
            f"times, got {len(values)}"
        )
    changes = np.cumsum(counts)[:-1]  # samples before each change of time
    block_of_value = np.zeros(len(values), np.int64)
    first = 0
    for later, end in zip(reversed(range(len(ends))), ends, strict=True):
        possible = changes[first : len(changes) - later]
        first += int(np.abs(possible - end).argmin()) + 1
        block_of_value[first:] += 1
    return block_of_value[inverse]
