"""One size of the contract tests, and what makes others from it.

Axes: n rows, d inputs, k classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ftml.data import Domains, Splits

BATCH = 8
"Rows of a batch: the field `batch_size`, where a family has it."
WIDTH = 8
"Units of a layer: fewer than the inputs of some sizes, more than those of others."
N_TEST = 12


@dataclass(frozen=True)
class Size:
    """Data of one size, and what may happen there."""

    name: str
    make: Callable[[], Splits]
    refused: bool = False
    "whether a family may refuse it with a clear ValueError"

    same_as: str = ""
    "name of the size whose data these are in another unit or type"

    unit: bool = False
    "whether a column is in another unit there"

    whole: bool = False
    "whether all checks are made; saving and resuming are tested at some sizes only"

    scored: bool = False
    "whether the scores of the task are checked, which cost more than the training"

    inputs: tuple[int, ...] | None = None
    "the columns that must matter; None for all"

    decisive: tuple[int, ...] = ()
    "the columns that decide the target: they must matter even to a tree"

    settings: Mapping[str, Any] = field(default_factory=dict)
    "fields of the configuration, where the family has them"


def split_at(data: Any, n: int) -> Splits:
    """Return the first n rows to train on, and the others to test."""
    index = np.arange(len(data))
    return Splits(data.rows(index[:n]), test=data.rows(index[n:]))


def class_names(k: int) -> tuple[str, ...]:
    """Return the names of k classes."""
    return tuple(f"c{c:02d}" for c in range(k))


def with_columns(
    data: Splits[Any], change: Callable[[np.ndarray], np.ndarray]
) -> Splits[Any]:
    """Return tables or domains whose features are changed."""

    def changed(part: Any) -> Any:
        name = "X" if hasattr(part, "X") else "x"
        return replace(part, **{name: change(getattr(part, name)), "feature_names": ()})

    return map_splits(data, changed)


def map_splits(data: Splits[Any], change: Callable[[Any], Any]) -> Splits[Any]:
    """Return the splits, each part changed by a function."""
    return Splits(
        *(None if part is None else change(part) for part in vars(data).values())
    )


def classes(
    make: Callable[[int, int], Splits], *, probed: bool = False
) -> Iterator[Size]:
    """Yield the sizes that differ in their classes, for what makes data of k classes
    and n rows. probed: whether a probe of the classes scores them, which needs several
    rows of two classes.
    """

    def relabelled(change: Callable[[np.ndarray], np.ndarray], k: int = 2) -> Any:
        def part_of(part: Any) -> Any:
            return replace(part, y=change(part.y))

        return lambda: map_splits(make(k, 18), part_of)

    yield Size("1 class", lambda: make(1, 18), refused=probed, scored=True)
    yield Size("30 classes", lambda: make(30, 66), refused=probed, scored=True)
    yield Size("1 class absent", lambda: _absent(make(3, 18)), scored=True)
    yield Size("1 of 2 classes", lambda: _one_trained(make(2, 18)), inputs=())
    yield Size(
        "labels of int32",
        relabelled(lambda y: y.astype(np.int32)),
        same_as="base",
    )
    yield Size(
        "1 class to score",
        lambda: _one_class(make(2, 18)),
        refused=probed,
        scored=True,
    )


def _absent(data: Splits) -> Splits:
    """Return splits with one class more, in the middle, that no row has."""
    names = class_names(4)
    parts = []
    for part in vars(data).values():
        if part is not None:
            labels = {"y": part.y + (part.y > 0)}
            key = "class_names" if isinstance(part, Domains) else "classes"
            part = replace(part, **labels, **{key: names})
        parts.append(part)
    return Splits(*parts)


def _one_trained(data: Splits) -> Splits:
    return replace(data, train=replace(data.train, y=np.zeros_like(data.train.y)))


def _one_class(data: Splits) -> Splits:
    test = data.test
    assert test is not None
    return replace(data, test=test.rows(np.flatnonzero(test.y == 0)))


def scored_by_one(data: Splits) -> Splits:
    """Return the splits with one row to score."""
    assert data.test is not None
    return replace(data, test=data.test.rows(np.arange(1)))


def with_many_to_predict(data: Splits) -> Splits:
    """Return splits with more rows to predict than are predicted at once."""
    test = data.test
    assert test is not None
    index = np.arange(1100) % len(test)
    return replace(data, test=test.rows(np.sort(index)))
