"""The sizes at which the contract tests train every family: small data of each data
kind with few or many rows, inputs and classes, columns in odd units, and odd types.

`sizes_of(kind)` makes those of a family. A size that may be refused says so; every
other one must be accepted. Data are made when a size is used, so that a data kind may
refuse them, too.

Axes: n rows, d inputs, k classes, S domains, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ftml.core import Family
from ftml.data import Domains, Images, Sequences, Table
from ftml.tasks import task
from pipelines.params.kinds import KIND_OF_STAGE
from tests.contract.pictures import domain_sizes, image_sizes
from tests.contract.size import Size
from tests.contract.structured import (
    COOCCURRENCES,
    LABELLED_TEXTS,
    PAIRS,
    SEQUENCES,
    TEXTS,
    TREES,
)
from tests.contract.tables import tables

BINARY = {"made"}
"Families whose tables hold zeros and ones, although those of their task need not."


SHARED = {
    "2 rows",
    "2 images",
    "7 rows",
    "1,100 rows to predict",
    "1,100 images to predict",
    "1 row to score",
    "1 image to score",
    "1 class to score",
    "1 class absent",
    "1 of 2 classes",
    "labels of int32",
}
"Sizes of rows and classes, which a family meets alike in each of its data kinds."


def sizes_of(kind: Family) -> list[Size]:
    """Return every size of a family: of each data kind that it is trained on."""
    first, *others = kind.data or (task(kind.task).DATA[0],)
    found = list(_sizes(kind, first))
    if others:
        found = [_called(size, first.__name__) for size in found]
    for data in others:
        found += [
            _called(size, data.__name__)
            for size in _sizes(kind, data)
            if size.name not in SHARED
        ]
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
    """Yield the sizes of sequences, pairs, trees and counts; of a data kind that has no
    sizes, the small data of its record.
    """
    labelled = kind.task != "language_model"
    made = {
        "Pairs": (PAIRS,),
        "Trees": (TREES,),
        "Cooccurrence": (COOCCURRENCES,),
        "Sequences": (SEQUENCES, TEXTS) if kind.chapter == "sequence" else (TEXTS,),
    }.get(data.__name__)
    if made is None:
        (record,) = (each for each in KIND_OF_STAGE.values() if each.data is data)
        yield Size("small data", partial(record.small, kind.task))
        return
    if data is Sequences and labelled:
        made = (*made, LABELLED_TEXTS)
    for table_of_sizes in made:
        for name, options in table_of_sizes.items():
            options = dict(options)
            make = options.pop("make")
            yield Size(name, lambda make=make: make(labelled), **options)
