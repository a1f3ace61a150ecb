"""Images, and samples of several domains, of awkward sizes.

Axes: n samples, d features, k classes, S domains, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ftml.data import Domains, Images, Splits
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
from tests.contract.tables import UNITS, constant, duplicated


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
    return split_at(Images(X.astype(np.uint8), y, class_names(k)), n)


def image_sizes(name: str) -> Iterator[Size]:
    """Yield the sizes of images for a task."""

    def of(*args: Any, **options: int) -> Callable[[], Splits]:
        return lambda: images(name, *args, **options)

    def filled(value: int) -> Callable[[], Splits]:
        return lambda: map_splits(
            images(name), lambda part: replace(part, X=np.full_like(part.X, value))
        )

    yield Size("base", of(), whole=True, scored=True)
    yield Size("9 x 6 pixels", of((9, 6)), whole=True)
    yield Size("5 x 7 pixels in colour", of((5, 7, 3)))
    yield Size("15 x 15 pixels", of((15, 15)))
    yield Size("1 row of pixels", of((1, 9)), refused=True)
    yield Size("1 image", of(n=1))
    yield Size("2 images", of(n=2))
    yield Size("batch + 1 images", of(n=BATCH + 1))
    yield Size("black images", filled(0), inputs=())
    yield Size("1,100 images to predict", lambda: with_many_to_predict(images(name)))
    probed = name == "representation"
    yield Size(
        "1 image to score",
        lambda: scored_by_one(images(name)),
        refused=probed,
        scored=True,
    )
    yield from classes(lambda k, n: images(name, k=k, n=n), probed=probed)


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
        return Domains(x, y, domain, names, class_names(k))

    names = tuple(f"d{s:02d}" for s in range(len(sizes)))
    return Splits(made(sizes, names), test=made((N_TEST,), ("other",)))


def domain_images(shape: Sequence[int]) -> Splits[Domains]:
    """Return splits of domains of images of a shape."""
    rng = np.random.default_rng(3)

    def pictured(part: Domains) -> Domains:
        x = rng.integers(100, size=(len(part), *shape))
        x[np.arange(len(part)), part.y] += 140
        return replace(part, x=x.astype(np.uint8))

    return map_splits(domains(), pictured)


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
    yield Size("1,100 rows to predict", lambda: with_many_to_predict(domains()))
    yield Size("1 row to score", lambda: scored_by_one(domains()), scored=True)
    yield from classes(
        lambda k, n: domains((n // 3,) * 3, k=k) if n != 18 else domains(k=k)
    )


def _missing(x: np.ndarray) -> np.ndarray:
    holes = (np.arange(x.size) % 7 == 3).reshape(x.shape)
    return np.where(holes, np.nan, x)


def _without_values(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.full(len(x), np.nan)])
