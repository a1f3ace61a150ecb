"""The three parts of a dataset, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Protocol,
    Self,
    TypeVar,
    runtime_checkable,
)

import numpy as np

if TYPE_CHECKING:
    from ftml.data.preprocessing import Preprocessor


class Block(Protocol):
    """What every data kind can do: be joined with another block of its kind."""

    def join(self, other: Self) -> Self: ...


@runtime_checkable
class RawBlock(Protocol):
    """Samples with the columns of a table, which are not features yet."""

    def fit(self) -> Preprocessor: ...

    def transform(self, preprocessor: Preprocessor) -> Any: ...


B_co = TypeVar("B_co", bound=Block, covariant=True)


@dataclass(frozen=True)
class Splits(Generic[B_co]):
    """Training data and, if there are any, validation and test data of the same kind.

    A family's `train` receives the first two. Only the test of the final fit uses the
    third. Raises ValueError for training data without a sample.
    """

    train: B_co
    valid: B_co | None = None
    test: B_co | None = None

    def __post_init__(self) -> None:
        if isinstance(self.train, Sized) and not len(self.train):
            kind = type(self.train).__name__
            raise ValueError(
                f"the training data ({kind}) have 0 samples, a model needs 1 or more"
            )

    def without_test(self) -> Splits[B_co]:
        """Return the training and validation data: what a search may see."""
        return replace(self, test=None)

    def for_final_fit(self) -> Splits[B_co]:
        """Return training and validation data as one training part."""
        joined = self.train if self.valid is None else self.train.join(self.valid)
        return Splits(train=joined)

    def prepared(self) -> Splits[Any]:
        """Return the splits with features in place of columns; what turns columns into
        features is learnt from the training data. Splits without columns are unchanged.
        """
        if not isinstance(self.train, RawBlock):
            return self
        return self.transformed(self.train.fit())

    def transformed(self, preprocessor: Preprocessor | None) -> Splits[Any]:
        """Return the splits with the features of a preprocessor in place of columns.
        Splits without columns are unchanged.
        """
        if preprocessor is None:
            return self
        parts = {
            name: part.transform(preprocessor) if isinstance(part, RawBlock) else part
            for name, part in vars(self).items()
        }
        return Splits(**parts)


def consecutive_splits(data: Any, *, n_train: int, n_valid: int) -> Splits[Any]:
    """Return the first n_train samples, the next n_valid, and the others as splits.

    data: samples of any data kind that has `rows`.
    """
    index = np.arange(len(data))
    parts = np.split(index, [n_train, n_train + n_valid])
    return Splits(*(data.rows(part) for part in parts))


@dataclass(frozen=True)
class FoldLimit:
    """The largest number of folds of a cross-validation, and why it is not larger."""

    most: int
    reason: str

    def check(self, n_folds: int) -> None:
        """Raise ValueError for more folds."""
        if n_folds > self.most:
            raise ValueError(
                f"cv: {n_folds} folds of {self.reason}; at most {self.most} are "
                "possible"
            )


def fold_limit(
    *,
    y: np.ndarray,
    classes: Sequence[str],
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
) -> FoldLimit:
    """Return how many folds samples allow: in the order of time one less than there are
    different times; else as many as there are groups or samples, and samples of each
    class.

    y: (n,), indices into `classes` if there are any. groups, time: (n,), or None.
    """
    if time is not None:
        n = len(np.unique(time))
        return FoldLimit(
            n - 1,
            f"{n} different times: parts in the order of time need one more than folds",
        )
    limits = [FoldLimit(len(y), f"{len(y)} samples")]
    if groups is not None:
        n = len(np.unique(groups))
        limits.append(FoldLimit(n, f"{n} groups"))
    if classes:
        counts = np.bincount(y, minlength=len(classes))
        rarest = int(counts.argmin())
        n = int(counts[rarest])
        what = f"{n} samples of the rarest class, {classes[rarest]}"
        limits.append(FoldLimit(n, what))
    return min(limits, key=lambda limit: limit.most)


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
