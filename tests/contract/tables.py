"""Tables of awkward sizes, in odd units and of odd types.

Axes: n rows, d columns, k classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ftml.data import Splits, Table
from tests.contract.size import (
    BATCH,
    N_TEST,
    Size,
    class_names,
    classes,
    map_splits,
    scored_by_one,
    split_at,
    with_columns,
    with_many_to_predict,
)


def table(task_name: str, *, n: int = 18, d: int = 3, k: int = 2) -> Splits[Table]:
    """Return splits with n rows of training and 12 of test; every column matters.

    Of two classes, column 0 alone says which it is.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n + N_TEST, d))
    if task_name in ("regression", "conditional_density"):
        y = X @ rng.uniform(0.5, 1.5, size=d) + 3.0
        y += 0.1 * rng.normal(size=len(y))
        return split_at(Table(X, y), n)
    if task_name == "density":
        return split_at(Table(X), n)
    if task_name == "decomposition":
        return split_at(Table(np.abs(X)), n)
    if task_name == "binary_density":
        return split_at(Table((X > 0).astype(np.float64)), n)
    y = np.concatenate([np.arange(n) % k, np.arange(N_TEST) % k])
    X[:, 0] = np.abs(X[:, 0] % 1.0) * 0.5 + y
    return split_at(Table(X, y, classes=class_names(k)), n)


def scaled(factor: float, shift: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Return what multiplies column 0 and adds to it."""

    def change(X: np.ndarray) -> np.ndarray:
        return np.column_stack([X[:, 0] * factor + shift, X[:, 1:]])

    return change


def constant(X: np.ndarray) -> np.ndarray:
    # The mean of many values of .1 is not .1: its deviation rounds to more than 0.
    value = 1.0 if np.isin(X, (0.0, 1.0)).all() else 0.1
    return np.column_stack([X, np.full(len(X), value)])


def duplicated(X: np.ndarray) -> np.ndarray:
    return np.column_stack([X, X[:, 1]])


def one_hot(X: np.ndarray) -> np.ndarray:
    """Return column 0 and three columns that encode a text of three values; the last
    rows have none of them, as a text that no training row has.
    """
    codes = np.eye(3)[np.random.default_rng(5).integers(3, size=len(X))]
    if len(X) == N_TEST:
        codes[-3:] = 0.0
    return np.column_stack([X[:, 0], codes])


def whole(X: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 to 255 for each column, as float64."""
    return np.clip(np.round((X + 4.0) * 30.0), 0, 255)


UNITS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("a column x 1e-8", scaled(1e-8)),
    ("a column x 1e8", scaled(1e8)),
    ("a column + 1e6", scaled(1.0, 1e6)),
)


def tables(name: str) -> Iterator[Size]:
    """Yield the sizes of tables for a task."""

    def of(**options: int) -> Callable[[], Splits]:
        return lambda: table(name, **options)

    def changed(change: Callable[[np.ndarray], np.ndarray], **options: int) -> Any:
        return lambda: with_columns(table(name, **options), change)

    binary = name == "binary_density"
    yield Size("base", of(), whole=True, scored=True, decisive=(0,))
    yield Size("1 row", of(n=1), refused=True, whole=True, inputs=())
    yield Size("2 rows", of(n=2), refused=True, inputs=())
    yield Size("7 rows", of(n=7))
    yield Size("batch + 1 rows", of(n=BATCH + 1), whole=True)
    yield Size("1 input", of(d=1), decisive=(0,))
    yield Size("40 inputs", of(d=40), whole=True)
    yield Size("constant column", changed(constant), inputs=(0, 1, 2))
    yield Size("duplicated column", changed(duplicated), inputs=(0, 2))
    if not binary:
        for title, change in UNITS:
            yield Size(title, changed(change), same_as="base", unit=True, decisive=(0,))
        yield Size(
            "one-hot columns",
            changed(one_hot, n=600),
            inputs=(0,),
            settings={"batch_size": 256},
        )
        yield Size("whole numbers", changed(whole))
        yield Size(
            "whole numbers as uint8",
            changed(lambda X: whole(X).astype(np.uint8)),
            same_as="whole numbers",
        )
    yield Size("1,100 rows to predict", lambda: with_many_to_predict(table(name)))
    yield Size("1 row to score", lambda: scored_by_one(table(name)), scored=True)
    if name in ("regression", "conditional_density"):
        yield Size(
            "constant target",
            lambda: map_splits(
                table(name), lambda part: replace(part, y=part.y * 0 + 0.1)
            ),
            refused=True,
            inputs=(),
        )
    if name in ("classification", "clustering", "generation", "representation"):
        probed = name == "representation"
        yield from classes(lambda k, n: table(name, k=k, n=n), probed=probed)


def _of_constant_target(part: Table) -> Table:
    return replace(part, y=np.full(len(part), 0.1))
