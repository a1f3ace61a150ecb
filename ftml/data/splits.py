"""The three parts of a dataset, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar


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
