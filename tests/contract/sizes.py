"""The sizes at which the contract tests train every family: small data of each data
kind with few or many rows, inputs and classes, columns in odd units, and odd types.

`sizes_of(kind)` makes those of a family. A size that may be refused says so; every
other one must be accepted. Data are made when a size is used, so that a data kind may
refuse them, too.

Axes: n rows, d inputs, k classes, S domains, V symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ftml.core import Family
from ftml.data import Domains, Images, Sequences, Splits, Table
from ftml.tasks import task
from tests.contract.structured import (
    COOCCURRENCES,
    LABELLED_TEXTS,
    PAIRS,
    SEQUENCES,
    TEXTS,
    TREES,
)

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


# Tables


def table(task_name: str, *, n: int = 18, d: int = 3, k: int = 2) -> Splits[Table]:
    """Return splits with n rows of training and 12 of test; every column matters.

    Of two classes, column 0 alone says which it is.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n + N_TEST, d))
    if task_name in ("regression", "conditional_density"):
        y = X @ rng.uniform(0.5, 1.5, size=d) + 3.0
        y += 0.1 * rng.normal(size=len(y))
        return _split(Table(X, y), n)
    if task_name == "density":
        return _split(Table(X), n)
    if task_name == "decomposition":
        return _split(Table(np.abs(X)), n)
    if task_name == "binary_density":
        return _split(Table((X > 0).astype(np.float64)), n)
    y = np.concatenate([np.arange(n) % k, np.arange(N_TEST) % k])
    X[:, 0] = np.abs(X[:, 0] % 1.0) * 0.5 + y
    return _split(Table(X, y, classes=_names(k)), n)


def _split(data: Any, n: int) -> Splits:
    index = np.arange(len(data))
    return Splits(data.rows(index[:n]), test=data.rows(index[n:]))


def _names(k: int) -> tuple[str, ...]:
    return tuple(f"c{c:02d}" for c in range(k))


def with_columns(
    data: Splits[Any], change: Callable[[np.ndarray], np.ndarray]
) -> Splits[Any]:
    """Return tables or domains whose features are changed."""

    def changed(part: Any) -> Any:
        name = "X" if hasattr(part, "X") else "x"
        return replace(part, **{name: change(getattr(part, name)), "feature_names": ()})

    return _map(data, changed)


def _map(data: Splits[Any], change: Callable[[Any], Any]) -> Splits[Any]:
    return Splits(
        *(None if part is None else change(part) for part in vars(data).values())
    )


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
            refused=True,
            same_as="whole numbers",
        )
    yield Size("1,100 rows to predict", lambda: _many(table(name)))
    yield Size("1 row to score", lambda: _one(table(name)), scored=True)
    if name in ("regression", "conditional_density"):
        yield Size(
            "constant target",
            lambda: _map(table(name), lambda part: replace(part, y=part.y * 0 + 0.1)),
            refused=True,
            inputs=(),
        )
    if name in ("classification", "clustering", "generation", "representation"):
        yield from classes(lambda k, n: table(name, k=k, n=n))


def classes(make: Callable[[int, int], Splits]) -> Iterator[Size]:
    """Yield the sizes that differ in their classes, for what makes data of k classes
    and n rows.
    """

    def relabelled(change: Callable[[np.ndarray], np.ndarray], k: int = 2) -> Any:
        def part_of(part: Any) -> Any:
            return replace(part, y=change(part.y))

        return lambda: _map(make(k, 18), part_of)

    yield Size("1 class", lambda: make(1, 18), refused=True, scored=True)
    yield Size("30 classes", lambda: make(30, 66), scored=True)
    yield Size("1 class absent", lambda: _absent(make(3, 18)), scored=True)
    yield Size(
        "1 of 2 classes", lambda: _one_trained(make(2, 18)), refused=True, inputs=()
    )
    yield Size(
        "labels of int32",
        relabelled(lambda y: y.astype(np.int32)),
        refused=True,
        same_as="base",
    )
    yield Size("1 class to score", lambda: _one_class(make(2, 18)), scored=True)


def _absent(data: Splits) -> Splits:
    """Return splits with one class more, in the middle, that no row has."""
    names = _names(4)
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


def _one(data: Splits) -> Splits:
    assert data.test is not None
    return replace(data, test=data.test.rows(np.arange(1)))


def _many(data: Splits) -> Splits:
    """Return splits with more rows to predict than are predicted at once."""
    test = data.test
    assert test is not None
    index = np.arange(1100) % len(test)
    return replace(data, test=test.rows(np.sort(index)))


# Images


def images(
    name: str, shape: Sequence[int] = (6, 6), *, n: int = 18, k: int = 2
) -> Splits[Images]:
    """Return splits of images of a shape; a bright row of pixels says the class."""
    rng = np.random.default_rng(1)
    y = np.concatenate([np.arange(n) % k, np.arange(N_TEST) % k])
    X = rng.integers(100, size=(n + N_TEST, *shape))
    X[np.arange(len(y)), y % shape[0]] += 140
    if name == "generation":
        X = 255 * (X > 70)  # some families need black and white
    return _split(Images(X.astype(np.uint8), y, _names(k)), n)


def image_sizes(name: str) -> Iterator[Size]:
    """Yield the sizes of images for a task."""

    def of(*args: Any, **options: int) -> Callable[[], Splits]:
        return lambda: images(name, *args, **options)

    def filled(value: int) -> Callable[[], Splits]:
        return lambda: _map(
            images(name), lambda part: replace(part, X=np.full_like(part.X, value))
        )

    yield Size("base", of(), whole=True, scored=True)
    yield Size("9 x 6 pixels", of((9, 6)), whole=True)
    yield Size("5 x 7 pixels in colour", of((5, 7, 3)), refused=True)
    yield Size("8 x 8 pixels in colour", of((8, 8, 3)))
    yield Size("15 x 15 pixels", of((15, 15)))
    yield Size("19 x 16 pixels", of((19, 16)))
    yield Size("1 row of pixels", of((1, 9)), refused=True)
    yield Size("1 image", of(n=1), refused=True)
    yield Size("2 images", of(n=2), refused=True)
    yield Size("batch + 1 images", of(n=BATCH + 1))
    yield Size("black images", filled(0), inputs=())
    yield Size("1,100 images to predict", lambda: _many(images(name)))
    yield Size("1 image to score", lambda: _one(images(name)), scored=True)
    yield from classes(lambda k, n: images(name, k=k, n=n))


# Domains


def domains(
    sizes: Sequence[int] = (6, 7, 5), *, d: int = 3, k: int = 2
) -> Splits[Domains]:
    """Return splits of domains of these sizes, and of another domain to test."""
    rng = np.random.default_rng(2)

    def made(sizes: Sequence[int], names: tuple[str, ...]) -> Domains:
        domain = np.repeat(np.arange(len(sizes)), sizes)
        y = np.concatenate([np.arange(n) % k for n in sizes])
        x = rng.normal(size=(len(y), d))
        x[:, 0] = np.abs(x[:, 0] % 1.0) * 0.5 + y + 0.1 * domain
        return Domains(x, y, domain, names, _names(k))

    names = tuple(f"d{s:02d}" for s in range(len(sizes)))
    return Splits(made(sizes, names), test=made((N_TEST,), ("other",)))


def domain_images(shape: Sequence[int]) -> Splits[Domains]:
    """Return splits of domains of images of a shape."""
    rng = np.random.default_rng(3)

    def pictured(part: Domains) -> Domains:
        x = rng.integers(100, size=(len(part), *shape))
        x[np.arange(len(part)), part.y] += 140
        return replace(part, x=x.astype(np.uint8))

    return _map(domains(), pictured)


def _one_class_domain(data: Splits[Domains]) -> Splits[Domains]:
    train = data.train
    return replace(data, train=replace(train, y=train.y * (train.domain > 0)))


def domain_sizes(name: str) -> Iterator[Size]:
    """Yield the sizes of domains."""

    def of(*args: Any, **options: int) -> Callable[[], Splits]:
        return lambda: domains(*args, **options)

    def changed(change: Callable[[np.ndarray], np.ndarray]) -> Any:
        return lambda: with_columns(domains(), change)

    cnn = {"network": "cnn"}
    yield Size("base", of(), whole=True, scored=True)
    yield Size("1 row a domain", of((1, 1, 1)), refused=True)
    yield Size("a domain of 1 row", of((1, 9, 8)), refused=True)
    yield Size("a domain of 1 class", lambda: _one_class_domain(domains()))
    yield Size("1 domain", of((18,)), refused=True)
    yield Size("12 domains", of((3,) * 12))
    yield Size("batch + 1 rows a domain", of((BATCH + 1,) * 3), whole=True)
    yield Size("1 input", of(d=1))
    yield Size("40 inputs", of(d=40))
    yield Size("constant column", changed(constant), inputs=(0, 1, 2))
    yield Size("duplicated column", changed(duplicated))
    for title, change in UNITS:
        yield Size(title, changed(change), same_as="base", unit=True)
    yield Size("missing values", changed(_missing))
    yield Size("a column without values", changed(_without_values), inputs=(0, 1, 2))
    yield Size("images of 9 x 6 pixels", lambda: domain_images((9, 6)))
    yield Size(
        "cnn, images of 9 x 6 pixels", lambda: domain_images((9, 6)), settings=cnn
    )
    yield Size(
        "cnn, images of 11 x 7 pixels in colour",
        lambda: domain_images((11, 7, 3)),
        settings=cnn,
    )
    yield Size("1,100 rows to predict", lambda: _many(domains()))
    yield Size("1 row to score", lambda: _one(domains()), scored=True)
    yield from classes(
        lambda k, n: domains((n // 3,) * 3, k=k) if n != 18 else domains(k=k)
    )


def _missing(x: np.ndarray) -> np.ndarray:
    holes = (np.arange(x.size) % 7 == 3).reshape(x.shape)
    return np.where(holes, np.nan, x)


def _without_values(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.full(len(x), np.nan)])


# Of a family

BINARY = {"made"}
"Families whose tables hold zeros and ones, although those of their task need not."


def sizes_of(kind: Family) -> list[Size]:
    """Return every size of a family: of each data kind that it is trained on."""
    found: list[Size] = []
    data = kind.data or (task(kind.task).DATA[0],)
    for each in data:
        made = list(_sizes(kind, each))
        if len(data) > 1:
            made = [_called(size, each.__name__) for size in made]
        found += made
    return found


def _called(size: Size, prefix: str) -> Size:
    same_as = size.same_as and f"{prefix}: {size.same_as}"
    return replace(size, name=f"{prefix}: {size.name}", same_as=same_as)


def _sizes(kind: Family, data: type) -> Iterator[Size]:
    if data is Table:
        yield from tables("binary_density" if kind.name in BINARY else kind.task)
    elif data is Images:
        yield from image_sizes(kind.task)
    elif data is Domains:
        yield from domain_sizes(kind.task)
    else:
        yield from structured(kind, data)


def structured(kind: Family, data: type) -> Iterator[Size]:
    """Yield the sizes of sequences, pairs, trees and counts."""
    labelled = kind.task != "language_model"
    made = {
        "Pairs": (PAIRS,),
        "Trees": (TREES,),
        "Cooccurrence": (COOCCURRENCES,),
        "Sequences": (SEQUENCES, TEXTS) if kind.chapter == "sequence" else (TEXTS,),
    }[data.__name__]
    labelled = kind.task != "language_model"
    if data is Sequences and labelled:
        made = (*made, LABELLED_TEXTS)
    for table_of_sizes in made:
        for name, options in table_of_sizes.items():
            options = dict(options)
            make = options.pop("make")
            yield Size(name, lambda make=make: make(labelled), **options)
